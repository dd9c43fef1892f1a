//! What must not be seen: passwords, and where they are found.

use std::fmt;
use std::path::PathBuf;

/// Text that is shown nowhere. [`expose`](Self::expose) says where it is used.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

/// Where a password is. A file and a Kubernetes Secret are read when they are used, so that a change of theirs counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Password {
    /// It was given itself.
    Given(Secret),
    /// In this file: read it with [`Secret::from_file`].
    File(PathBuf),
    /// In the cluster.
    Kubernetes(SecretKey),
}

/// An entry of a Kubernetes Secret.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SecretKey {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// The key in `data`.
    pub key: String,
}

/// Why text is no password of a TCP connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoPassword {
    /// Nothing is there.
    #[error("empty")]
    Empty,
    /// The kernel's keys end there (`TCP_MD5SIG_MAXKEYLEN`, `TCP_AO_MAXKEYLEN`).
    #[error("longer than the {MAX_OCTETS} octets that TCP takes")]
    Long,
    /// A line break or another character that nobody types at a router.
    #[error("has a line break or another control character in it")]
    Control,
    /// What vipcast shows in the place of a password.
    #[error("the asterisks that stand for a password, and not the password")]
    Masked,
}

impl Secret {
    /// A password for TCP MD5 (RFC 2385) or TCP-AO (RFC 5925).
    ///
    /// # Errors
    ///
    /// It cannot be one.
    pub fn password(text: &str) -> Result<Self, NoPassword> {
        match text {
            "" => Err(NoPassword::Empty),
            MASK => Err(NoPassword::Masked),
            _ if text.len() > MAX_OCTETS => Err(NoPassword::Long),
            _ if text.chars().any(char::is_control) => Err(NoPassword::Control),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// A password from what a file or an entry of a Kubernetes Secret holds: editors end the line.
    ///
    /// # Errors
    ///
    /// It cannot be a password.
    pub fn from_file(text: &str) -> Result<Self, NoPassword> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        Self::password(line.strip_suffix('\r').unwrap_or(line))
    }

    /// Whatever was written, to be kept from sight.
    pub(super) fn of(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// `name:key` in a namespace.
impl fmt::Display for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.name, self.key)
    }
}

/// What is shown in the place of a secret.
pub(super) const MASK: &str = "***";

/// What the kernel takes as a key.
const MAX_OCTETS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let password = Password::Given(Secret::password("hunter2").unwrap());
        assert_eq!(format!("{password:?}"), "Given(***)");
        assert_eq!(Secret::of("hunter2").to_string(), "***");
    }

    #[test]
    fn a_password_is_what_tcp_can_take() {
        let longest = "x".repeat(80);
        let words = |text: &str| Secret::password(text).map_err(|wrong| wrong.to_string());
        assert_eq!(words(&longest), Ok(Secret::of(longest.clone())));
        assert_eq!(words(&(longest + "x")), Err("longer than the 80 octets that TCP takes".to_owned()));
        assert_eq!(words(&"é".repeat(41)), Err("longer than the 80 octets that TCP takes".to_owned()));
        assert_eq!(Secret::password(""), Err(NoPassword::Empty));
        assert_eq!(Secret::password("***"), Err(NoPassword::Masked));
        assert_eq!(Secret::password("a\nb"), Err(NoPassword::Control));
    }

    #[test]
    fn the_end_of_the_line_is_no_part_of_a_password_in_a_file() {
        for text in ["hunter2", "hunter2\n", "hunter2\r\n"] {
            assert_eq!(Secret::from_file(text).unwrap().expose(), "hunter2");
        }
        assert_eq!(Secret::from_file(" spaced \n").unwrap().expose(), " spaced ");
        assert_eq!(Secret::from_file("two\n\n"), Err(NoPassword::Control));
        assert_eq!(Secret::from_file("\n"), Err(NoPassword::Empty));
    }
}
