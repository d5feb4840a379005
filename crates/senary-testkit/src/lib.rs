//! senary-testkit
