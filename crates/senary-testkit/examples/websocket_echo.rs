//! A WebSocket server for `bench/run.py`, which says where it is, and echoes until it is ended.

use senary_testkit::{Behaviour, Server, WebSocketPeer};

fn main() {
    let server = Server::start(Behaviour::WebSocket(WebSocketPeer::Echo));
    println!("ws://{}/", server.address());
    loop {
        std::thread::park();
    }
}
