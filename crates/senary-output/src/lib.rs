//! senary-output
