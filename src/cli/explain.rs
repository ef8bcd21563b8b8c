//! `cramplan explain`

use serde_json::json;

use super::arguments::{Explain, Format};
use super::{Exit, complain, print, print_json, say};
use crate::recipe::explain::{find, json, json_schema, reference, text};

/// Explains a field, a choice or a code; without a topic, lists them.
pub fn explain(options: &Explain) -> Exit {
    if options.reference {
        print(&reference::page());
        return Exit::Success;
    }
    if options.json_schema {
        print_json(&json_schema::document());
        return Exit::Success;
    }
    let is_json = options.format == Format::Json;
    match &options.topic {
        None if is_json => print_json(&json::list()),
        None => {
            print(&text::list());
            say("`cramplan explain model.width`, `cramplan explain Triangle` and `cramplan explain unknown-field` say more");
        }
        Some(topic) => return on(topic, is_json),
    }
    Exit::Success
}

fn on(topic: &str, is_json: bool) -> Exit {
    match find(topic) {
        Ok(found) if is_json => {
            print_json(&json!({"topic": topic, "found": found.iter().map(json::topic).collect::<Vec<_>>()}));
            Exit::Success
        }
        Ok(found) => {
            print(&found.iter().map(text::topic).collect::<Vec<_>>().join("\n"));
            Exit::Success
        }
        Err(near) => unknown(topic, near.as_deref(), is_json),
    }
}

fn unknown(topic: &str, near: Option<&str>, is_json: bool) -> Exit {
    let message = format!("there is nothing called `{topic}` in a recipe or among the codes");
    let list = "`cramplan explain` lists what can be explained";
    let help = near.map_or_else(|| list.to_owned(), |near| format!("did you mean `{near}`? {list}"));
    if is_json {
        print_json(&json!({"topic": topic, "found": [], "message": message, "help": help}));
    } else {
        complain(&message);
        say(&format!("help: {help}"));
    }
    Exit::Invalid
}
