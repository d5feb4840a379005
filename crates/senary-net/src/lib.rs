//! senary-net
