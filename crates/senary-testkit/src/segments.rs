//! In how many pieces the bytes of a connection came over the network.

use std::net::TcpStream;

use nix::libc;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::GetStruct;
use socket2::SockRef;

/// The first part of `struct tcp_info` (linux/tcp.h).
#[derive(Clone, Copy)]
#[repr(C)]
struct Raw {
    _state_to_min_rtt: [u32; 38],
    data_segs_in: u32,
    _data_segs_out: u32,
}

#[derive(Clone, Copy)]
struct Info;

nix::getsockopt_impl!(Info, libc::IPPROTO_TCP, libc::TCP_INFO, Raw, GetStruct<Raw>);

/// How many segments with data the kernel has received on a connection.
pub fn data_segments(stream: &TcpStream) -> u32 {
    getsockopt(stream, Info).expect("what TCP has counted").data_segs_in
}

/// Acknowledges data late: with the next data of our own, or after some 40 ms.
pub fn acknowledge_late(stream: &TcpStream) {
    SockRef::from(stream).set_tcp_quickack(false).expect("an option of the socket");
}
