//! `cramplan lsp`: recipes in an editor, over the language server protocol on stdin and stdout.
//!
//! Invariant: stdout belongs to the protocol; nothing that a client sends ends the session but `exit` and the end of stdin.

mod answer;
mod check;
mod client;
mod desk;
mod place;
mod report;
mod server;
mod uri;

use std::sync::mpsc;

use lsp_server::Connection;

use self::server::Server;
use super::arguments::Lsp;
use super::inventory::Inventory;
use super::{Exit, complain, say, world};
use crate::device::named;

/// Serves an editor until it leaves.
pub fn lsp(options: &Lsp) -> Exit {
    let inventory = inventory();
    if let Some(name) = options.device.as_ref().filter(|name| named(&inventory.known, name).is_none()) {
        complain(&format!("there is no device `{name}` in the catalog"));
        say("help: `cramplan devices` lists the cards it knows");
        return Exit::Invalid;
    }
    let (connection, threads) = Connection::stdio();
    // The library hands over one message at a time. Here they queue, so that it is seen whether more are waiting.
    let (queue, messages) = mpsc::channel();
    let received = connection.receiver.clone();
    let pump = std::thread::spawn(move || received.into_iter().try_for_each(|message| queue.send(message)));
    let end = Server::new(connection, inventory, options.device.clone()).serve(&messages);
    drop(messages);
    // The last answer is written before the program ends.
    if let Err(error) = threads.join() {
        say(&format!("the connection failed: {error}"));
    }
    let _ = pump.join();
    end
}

/// The devices known here. An editor is served in any case: without the user's own devices where their file is broken.
fn inventory() -> Inventory {
    Inventory::load().unwrap_or_else(|broken| {
        broken.refuse(false);
        Inventory::of(world::machine(), Vec::new(), Vec::new(), false)
    })
}
