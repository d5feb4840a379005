//! What TCP itself has measured of a connection.

use std::time::Duration;

use crate::transport::Transport;

/// TCP's measurements, as the kernel has them at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// The round trip, smoothed, how much it varies, and the shortest.
    pub rtt: Duration,
    pub rtt_variance: Duration,
    pub min_rtt: Duration,
    /// Segments that were sent again, since the beginning.
    pub retransmits: u32,
    /// Segments that are under way.
    pub unacked: u32,
    /// In segments.
    pub congestion_window: u32,
    /// Bytes per second.
    pub delivery_rate: u64,
}

impl TcpInfo {
    /// `None` for what is not TCP, and where the system does not tell.
    pub(crate) fn of(transport: &Transport) -> Option<Self> {
        match transport {
            Transport::Tcp(stream) => linux::info(stream),
            Transport::Unix(_) => None,
            Transport::Tunnel(tunnel) => Self::of(tunnel.transport()),
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::OnceLock;
    use std::time::Duration;

    use nix::libc;
    use nix::sys::socket::getsockopt;
    use nix::sys::socket::sockopt::GetStruct;
    use tokio::net::TcpStream;

    use super::TcpInfo;

    /// The first part of `struct tcp_info` (linux/tcp.h), which has grown since and may grow on.
    #[derive(Clone, Copy)]
    #[repr(C)]
    pub(super) struct Raw {
        _state_to_options: [u8; 8],
        _rto_to_rcv_mss: [u32; 4],
        unacked: u32,
        _sacked_to_rcv_ssthresh: [u32; 10],
        /// In microseconds.
        rtt: u32,
        rttvar: u32,
        _snd_ssthresh: u32,
        snd_cwnd: u32,
        _advmss_to_rcv_space: [u32; 4],
        total_retrans: u32,
        _pacing_rate_to_bytes_received: [u64; 4],
        _segs_out_to_notsent_bytes: [u32; 3],
        min_rtt: u32,
        _data_segs: [u32; 2],
        delivery_rate: u64,
    }

    #[derive(Clone, Copy)]
    struct Info;

    nix::getsockopt_impl!(Info, libc::IPPROTO_TCP, libc::TCP_INFO, Raw, GetStruct<Raw>);

    pub(super) fn info(stream: &TcpStream) -> Option<TcpInfo> {
        if !tells_all() {
            return None;
        }
        let raw = getsockopt(stream, Info).ok()?;
        let rtt = Duration::from_micros(raw.rtt.into());
        Some(TcpInfo {
            rtt,
            rtt_variance: Duration::from_micros(raw.rttvar.into()),
            // All ones where nothing has been measured yet.
            min_rtt: if raw.min_rtt == u32::MAX { rtt } else { Duration::from_micros(raw.min_rtt.into()) },
            retransmits: raw.total_retrans,
            unacked: raw.unacked,
            congestion_window: raw.snd_cwnd,
            delivery_rate: raw.delivery_rate,
        })
    }

    /// Whether the kernel has all of [`Raw`]: Linux does since 4.9. It would give back less, which has no meaning here.
    fn tells_all() -> bool {
        static TELLS_ALL: OnceLock<bool> = OnceLock::new();
        *TELLS_ALL.get_or_init(|| {
            let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
            version(&release) >= Some((4, 9))
        })
    }

    /// The first two numbers of a release such as `6.1.0-18-amd64`.
    fn version(release: &str) -> Option<(u32, u32)> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_version_of_a_kernel_is_read() {
            for (release, read) in [
                ("6.1.0-18-amd64", Some((6, 1))),
                ("4.19.0", Some((4, 19))),
                ("3.10.0-1160.el7.x86_64\n", Some((3, 10))),
                ("5", None),
                ("", None),
            ] {
                assert_eq!(version(release), read, "{release}");
            }
            assert_eq!(size_of::<Raw>(), 168);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    pub(super) fn info(_: &tokio::net::TcpStream) -> Option<super::TcpInfo> {
        None
    }
}
