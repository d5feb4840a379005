//! Errors of the system as users read them.

use std::io;

/// The kernel's message as Go prints it: in lower case, without the number. An error that did not come from the
/// kernel gets the message that the kernel would have given.
pub fn io_text(error: &io::Error) -> String {
    if error.raw_os_error().is_none() && error.get_ref().is_none() {
        match error.kind() {
            io::ErrorKind::NotFound => return "no such file or directory".to_owned(),
            io::ErrorKind::PermissionDenied => return "permission denied".to_owned(),
            io::ErrorKind::IsADirectory => return "is a directory".to_owned(),
            _ => {}
        }
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_words_of_the_kernel() {
        let missing = std::fs::read("/there/is/no/such/file").unwrap_err();
        assert_eq!(io_text(&missing), "no such file or directory");
        assert_eq!(io_text(&std::fs::read("/").unwrap_err()), "is a directory");
        assert_eq!(io_text(&io::ErrorKind::NotFound.into()), "no such file or directory");
        assert_eq!(io_text(&io::ErrorKind::PermissionDenied.into()), "permission denied");
        assert_eq!(io_text(&io::ErrorKind::TimedOut.into()), "timed out");
        assert_eq!(io_text(&io::Error::other("Of somebody")), "of somebody");
        assert_eq!(io_text(&io::Error::other("")), "");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn two_refusals_are_told_apart() {
        let (not_permitted, no_access) = (1, 13);
        assert_eq!(io_text(&io::Error::from_raw_os_error(not_permitted)), "operation not permitted");
        assert_eq!(io_text(&io::Error::from_raw_os_error(no_access)), "permission denied");
    }
}
