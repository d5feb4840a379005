//! Which local port a connection goes out from.
//!
//! Left to itself the kernel looks through all local ports for one that is free for the target. Where short connections
//! come thick and fast most are taken by ones that rest (TIME_WAIT, a minute), and the search costs many times what all
//! else of a connect does. So each connect gets a small [`Window`] of ports to search. The windows go through the whole
//! range one after the other, and so come back to the ports that have rested longest.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::Socket;

/// Wide enough that a port is free in nearly every window of a range that is used to nine tenths, and narrow enough that
/// looking through all of it costs less than a system call.
const PORTS: u32 = 32;

/// Neighbouring local ports, one of which a connection may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    first: u16,
    last: u16,
}

/// The window that is next; `None` where the system does not know such a thing.
pub(crate) fn next() -> Option<Window> {
    static RANGE: OnceLock<Option<Window>> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let range = RANGE.get_or_init(|| {
        // Each process begins at another place, so that several of them do not compete for the same ports.
        NEXT.store(std::process::id().wrapping_mul(0x9E37_79B9) >> 16, Ordering::Relaxed);
        system_range()
    });
    range.and_then(|range| range.part(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// The range that the kernel takes local ports from (ip(7), `ip_local_port_range`).
fn system_range() -> Option<Window> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let (first, last) = range.trim().split_once(char::is_whitespace)?;
    Some(Window { first: first.parse().ok()?, last: last.trim().parse().ok()? })
}

impl Window {
    /// The part with this index; the index wraps around. `None` if the window is too small for a single part.
    fn part(self, index: u32) -> Option<Self> {
        let parts = (u32::from(self.last) + 1).checked_sub(self.first.into())? / PORTS;
        let first = u32::from(self.first) + index.checked_rem(parts)? * PORTS;
        Some(Self { first: first.try_into().ok()?, last: (first + PORTS - 1).try_into().ok()? })
    }

    pub(crate) fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Has the socket's connect look here. `false`: the system does not know how, and will look everywhere (Linux before
    /// 6.3).
    #[cfg(target_os = "linux")]
    pub(crate) fn apply(self, socket: &Socket) -> bool {
        let value = usize::from(self.last) << 16 | usize::from(self.first);
        nix::sys::socket::setsockopt(socket, option::LocalPortRange, &value).is_ok()
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn apply(self, _: &Socket) -> bool {
        false
    }
}

#[cfg(target_os = "linux")]
mod option {
    use nix::libc;

    /// Not in libc yet (linux/in.h).
    const IP_LOCAL_PORT_RANGE: libc::c_int = 51;

    #[derive(Clone, Copy)]
    pub(super) struct LocalPortRange;

    nix::setsockopt_impl!(
        LocalPortRange,
        libc::IPPROTO_IP,
        IP_LOCAL_PORT_RANGE,
        usize,
        nix::sys::socket::sockopt::SetUsize
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_go_round_through_the_range() {
        let range = Window { first: 1000, last: 1000 + 3 * 32 + 5 };
        let firsts: Vec<_> = (0..4).filter_map(|i| range.part(i)).map(|w| (w.first, w.last)).collect();
        assert_eq!(firsts, [(1000, 1031), (1032, 1063), (1064, 1095), (1000, 1031)]);
        let whole = Window { first: 1, last: u16::MAX };
        assert!((0..70_000).all(|i| whole.part(i).is_some_and(|w| w.first >= 1 && w.last - w.first == 31)));
    }

    #[test]
    fn a_range_smaller_than_a_window_has_none() {
        assert_eq!(Window { first: 1000, last: 1030 }.part(7), None);
        assert_eq!(Window { first: 2, last: 1 }.part(0), None);
        assert_eq!(Window { first: 9, last: 1 }.part(0), None);
    }
}
