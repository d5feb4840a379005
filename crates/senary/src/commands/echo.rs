//! `senary echo`: the built-in echo server on its own.

use std::io::{self, Write};
use std::net::ToSocketAddrs;

use senary_net::EchoServer;
use senary_words::io_text;
use senary_words::remedy::explained;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::EchoArgs;
use crate::command_error::CommandError;
use crate::event_loop::event_loop;

#[derive(Debug, thiserror::Error)]
pub enum EchoError {
    #[error("cannot listen on {address:?}: {}", explained(.reason))]
    Listen { address: String, reason: io::Error },
    #[error("cannot wait for Ctrl+C: {}", io_text(.0))]
    Signal(io::Error),
}

/// Serves until Ctrl+C. The first line of standard output is the address, for the program that started it.
pub fn run(args: &EchoArgs) -> Result<(), CommandError> {
    event_loop()?.block_on(serve(args)).map_err(|error| CommandError::Command(error.to_string()))
}

async fn serve(args: &EchoArgs) -> Result<(), EchoError> {
    let listen = |reason| EchoError::Listen { address: args.listen.clone(), reason };
    let address = args.listen.to_socket_addrs().map_err(listen)?.next();
    let address = address.ok_or_else(|| listen(io::ErrorKind::AddrNotAvailable.into()))?;
    let server = EchoServer::start(address, args.tls.unwrap_or_default()).map_err(listen)?;
    // Whoever has read the address may end us.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(EchoError::Signal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(EchoError::Signal)?;
    announce(&server);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Whoever does not read this does not want to know.
fn announce(server: &EchoServer) {
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "{}", server.address());
    if let Some(pem) = server.certificate_pem() {
        let _ = write!(stdout, "{pem}");
    }
    let _ = stdout.flush();
}
