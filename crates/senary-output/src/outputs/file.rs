//! Where the lines of an output go: a file, a compressed file, standard output.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use senary_words::remedy::explained;

use crate::writable::Writable;

/// The buffer is written when it has grown to this size.
const BUFFER: usize = 64 * 1024;

/// Text on its way to a file or to standard output.
pub(crate) struct LineFile {
    buffer: Vec<u8>,
    to: Writer,
    /// The path, `None` for standard output.
    path: Option<String>,
}

enum Writer {
    Plain(Box<dyn Write + Send>),
    Gzip(Box<GzEncoder<Writable>>),
}

impl LineFile {
    /// Creates a file, or replaces it; one whose name ends in `.gz` is compressed. `None`, nothing and `-` are
    /// standard output.
    pub(crate) fn create(path: Option<&str>) -> io::Result<Self> {
        let Some(path) = path.filter(|path| !matches!(*path, "" | "-")) else {
            return Ok(Self { buffer: Vec::new(), to: Writer::Plain(Box::new(io::stdout())), path: None });
        };
        let file = Writable::create_alone(path)?;
        let to = if path.ends_with(".gz") {
            Writer::Gzip(Box::new(GzEncoder::new(file, Compression::fast())))
        } else {
            Writer::Plain(Box::new(file))
        };
        Ok(Self { buffer: Vec::with_capacity(BUFFER + 4096), to, path: Some(path.to_owned()) })
    }

    pub(crate) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The text that is yet to be written, to append to.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes if there is much to write. Lines stay whole.
    pub(crate) fn write_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() < BUFFER { Ok(()) } else { self.write() }
    }

    /// Writes everything so far. The compressor holds some of it back until the file is closed.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.write()?;
        match &mut self.to {
            Writer::Plain(to) => to.flush(),
            Writer::Gzip(_) => Ok(()),
        }
    }

    /// Writes everything; a compressed file gets its end.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.flush()?;
        match &mut self.to {
            Writer::Plain(_) => Ok(()),
            Writer::Gzip(to) => {
                to.try_finish()?;
                to.get_mut().flush()
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let result = match &mut self.to {
            Writer::Plain(to) => to.write_all(&self.buffer),
            Writer::Gzip(to) => to.write_all(&self.buffer),
        };
        self.buffer.clear();
        result
    }
}

/// An error with a file in the words of the reference: `open PATH: no such file or directory`.
pub(crate) fn describe(path: &str, error: &io::Error) -> String {
    format!("open {path}: {}", explained(error))
}
