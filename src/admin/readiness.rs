//! Whether Services can be announced, as far as this node is ready by it.

/// What is known of that.
#[derive(Clone, Debug, Default)]
pub(super) enum Services {
    /// They are off.
    #[default]
    Off,
    /// Not yet, because.
    Awaited(String),
    /// They could be once: what is lost later takes readiness from nobody.
    Known,
}

impl Services {
    /// `lack`: what keeps this node from announcing any.
    pub(super) fn hear(&mut self, lack: Option<String>) {
        *self = match (&self, lack) {
            (Self::Known, _) | (Self::Off | Self::Awaited(_), None) => Self::Known,
            (Self::Off | Self::Awaited(_), Some(lack)) => Self::Awaited(lack),
        };
    }
}
