//! Paths as URIs and back.
//!
//! Invariant: a file has one name here, whatever way an import or a client writes its path; links are not followed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use lsp_types::Uri;

use crate::cli::world;

/// The name of what a URI names: the path of a file, or the URI itself where it is something else, such as a text without a file.
pub fn name_of(uri: &Uri) -> String {
    path_of(uri.as_str()).map_or_else(|| uri.as_str().to_owned(), |path| name_of_path(&path))
}

/// The name of a path: without `.` and `..`.
pub fn name_of_path(path: &Path) -> String {
    world::plain(path).display().to_string()
}

/// The path in a `file:` URI of this machine.
fn path_of(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    let path = decode(path.split(['?', '#']).next().filter(|path| path.starts_with('/'))?)?;
    let is_drive = path.as_bytes().get(2) == Some(&b':');
    Some(PathBuf::from(if cfg!(windows) && is_drive { path.trim_start_matches('/') } else { &path }))
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        bytes.push(if byte == b'%' { (digit()? * 16 + digit()?) as u8 } else { byte });
    }
    String::from_utf8(bytes).ok()
}

/// The URI of a file's name; `None` where the name is not that of a file.
pub fn uri_of(name: &str) -> Option<Uri> {
    if !Path::new(name).is_absolute() {
        return None;
    }
    let mut uri = String::from(if name.starts_with('/') { "file://" } else { "file:///" });
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            b'\\' if cfg!(windows) => uri.push('/'),
            // Writing to a string cannot fail.
            _ => _ = write!(uri, "%{byte:02X}"),
        }
    }
    uri.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_from_their_uris() {
        for name in ["/a/b.ron", "/with blank/ä😀/100%.ron", "/a#b?c/d.ron"] {
            assert_eq!(name_of(&uri_of(name).unwrap()), name);
        }
        assert_eq!(uri_of("/ä.ron").unwrap().as_str(), "file:///%C3%A4.ron");
    }

    #[test]
    fn one_file_has_one_name() {
        let uri: Uri = "file://localhost/a/./x%2Fy/../b.ron".parse().unwrap();
        assert_eq!(name_of(&uri), "/a/x/b.ron");
        assert_eq!(name_of_path(Path::new("/a/../../b.ron")), "/b.ron");
    }

    #[test]
    fn what_is_no_file_keeps_its_uri() {
        let uri: Uri = "untitled:Untitled-1".parse().unwrap();
        assert_eq!(name_of(&uri), "untitled:Untitled-1");
        assert_eq!(uri_of("untitled:Untitled-1"), None);
        assert_eq!(uri_of("--for"), None);
        assert_eq!(path_of("file:///bad%zz"), None);
        assert_eq!(path_of("file:///cut%4"), None);
    }
}
