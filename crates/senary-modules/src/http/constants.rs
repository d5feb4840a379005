//! The constants of the module.

use senary_net::{OcspStatus, TlsInfo};

const OCSP_UNKNOWN: &str = "unknown";

/// What the server says of its certificate.
pub fn ocsp_status(tls: &TlsInfo) -> &'static str {
    match tls.ocsp.map(|ocsp| ocsp.status) {
        Some(OcspStatus::Good) => "good",
        Some(OcspStatus::Revoked { .. }) => "revoked",
        Some(OcspStatus::Unknown) | None => OCSP_UNKNOWN,
    }
}

/// Why a certificate is revoked.
pub fn ocsp_reason(reason: u8) -> &'static str {
    match reason {
        1 => "key_compromise",
        2 => "ca_compromise",
        3 => "affiliation_changed",
        4 => "superseded",
        5 => "cessation_of_operation",
        6 => "certificate_hold",
        8 => "remove_from_crl",
        9 => "privilege_withdrawn",
        10 => "aa_compromise",
        _ => "unspecified",
    }
}

/// Names and values.
pub const ALL: [(&str, &str); 18] = [
    ("TLS_1_0", "tls1.0"),
    ("TLS_1_1", "tls1.1"),
    ("TLS_1_2", "tls1.2"),
    ("TLS_1_3", "tls1.3"),
    ("OCSP_STATUS_GOOD", "good"),
    ("OCSP_STATUS_REVOKED", "revoked"),
    ("OCSP_STATUS_SERVER_FAILED", "server_failed"),
    ("OCSP_STATUS_UNKNOWN", OCSP_UNKNOWN),
    ("OCSP_REASON_AA_COMPROMISE", "aa_compromise"),
    ("OCSP_REASON_AFFILIATION_CHANGED", "affiliation_changed"),
    ("OCSP_REASON_CA_COMPROMISE", "ca_compromise"),
    ("OCSP_REASON_CERTIFICATE_HOLD", "certificate_hold"),
    ("OCSP_REASON_CESSATION_OF_OPERATION", "cessation_of_operation"),
    ("OCSP_REASON_KEY_COMPROMISE", "key_compromise"),
    ("OCSP_REASON_PRIVILEGE_WITHDRAWN", "privilege_withdrawn"),
    ("OCSP_REASON_REMOVE_FROM_CRL", "remove_from_crl"),
    ("OCSP_REASON_SUPERSEDED", "superseded"),
    ("OCSP_REASON_UNSPECIFIED", "unspecified"),
];
