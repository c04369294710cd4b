use std::error::Error;

/// Writes an error with its causes in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use greensand_types::HostFault;

    use super::*;

    #[test]
    fn every_cause_is_told_once_in_order() {
        let fault = HostFault::caused_by("cannot map the image", std::io::Error::other("no memory"));
        assert_eq!(with_causes(&fault), "cannot map the image: no memory");
        assert_eq!(with_causes(&HostFault::new("gone")), "gone");
    }
}
