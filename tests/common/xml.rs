//! Whether a text is well-formed XML, as far as a picture needs it: tags that nest, attributes in quotes and each once, signs escaped.

#![allow(dead_code, reason = "each test file uses its part")]

/// The names of a text's elements in order.
///
/// # Errors
/// What is wrong, with the text from there on.
pub fn elements(text: &str) -> Result<Vec<String>, String> {
    let (mut open, mut seen) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        characters(&rest[..at])?;
        let end = rest[at..].find('>').ok_or_else(|| wrong("a tag without an end", rest))? + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop().as_deref() != Some(name) {
                return Err(wrong("a closing tag that nothing opened", tag));
            }
            continue;
        }
        let (inside, empty) = tag.strip_suffix('/').map_or((tag, false), |inside| (inside, true));
        let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        if seen.is_empty() != open.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) || name.is_empty() {
            return Err(wrong("a name or a second root", tag));
        }
        self::attributes(attributes)?;
        seen.push(name.to_owned());
        if !empty {
            open.push(name.to_owned());
        }
    }
    if !open.is_empty() || !rest.trim().is_empty() {
        return Err(wrong("an end", rest));
    }
    Ok(seen)
}

fn attributes(text: &str) -> Result<(), String> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or_else(|| wrong("an attribute", rest))?;
        let (value, after) = after.split_once('"').ok_or_else(|| wrong("a value without its end", after))?;
        characters(value)?;
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !plain || value.contains('<') || names.contains(&name) {
            return Err(wrong("an attribute's name", name));
        }
        names.push(name);
        rest = after.trim_start();
    }
    Ok(())
}

fn characters(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('&') {
        let known = ["&amp;", "&lt;", "&gt;", "&quot;"].iter().any(|entity| text[at..].starts_with(entity));
        if !known {
            return Err(wrong("an ampersand", &text[at..]));
        }
    }
    if text.chars().any(|c| c.is_control() && c != '\n') { Err(wrong("a control character", text)) } else { Ok(()) }
}

fn wrong(what: &str, text: &str) -> String {
    format!("{what}: {}", text.chars().take(80).collect::<String>())
}
