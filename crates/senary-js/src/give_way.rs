//! How native code that takes long lets other VUs run in between.
//!
//! Script of the same VU does not run in the meantime, so nothing that a native holds changes. But the garbage
//! collector may look at what belongs to the VU, so none of that may be borrowed mutably.

use rquickjs::Ctx;

use crate::slice_clock;
use crate::vu::core::vu_of;

/// Bytes to work on between two looks at the clock. A multiple of three and of four, as base64 needs it.
pub const PIECE: usize = 3 << 16;

/// Gives the worker back if the script has had it for long, and throws if the script must stop.
pub fn give_way(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    if !slice_clock::is_due() {
        return Ok(());
    }
    match vu_of(ctx) {
        Ok(vu) => vu.give_way(ctx),
        // Without a VU there is nothing that waits.
        Err(_) => {
            ctx.catch();
            slice_clock::restart();
            Ok(())
        }
    }
}

/// Works on bytes piece by piece.
pub fn in_pieces(ctx: &Ctx<'_>, bytes: &[u8], mut work: impl FnMut(&[u8])) -> rquickjs::Result<()> {
    for piece in bytes.chunks(PIECE) {
        work(piece);
        give_way(ctx)?;
    }
    Ok(())
}
