//! Only what has changed is passed on: to those who watch, and to the log.

use tokio::sync::watch;

/// Publishes `value` where it differs from what was published before.
pub fn publish<T: PartialEq>(sender: &watch::Sender<T>, value: T) {
    sender.send_if_modified(|old| {
        let changed = *old != value;
        *old = value;
        changed
    });
}

/// What was said last, so that a trouble that lasts is one line.
#[derive(Debug)]
pub struct Told<T>(Option<T>);

impl<T: PartialEq> Told<T> {
    /// Whether `news` differs from what was said last. It counts as said from now on.
    pub fn is_news(&mut self, news: T) -> bool {
        let changed = self.0.as_ref() != Some(&news);
        self.0 = Some(news);
        changed
    }

    /// It is over: whatever comes next is news. Returns whether there was anything to be over.
    pub fn is_over(&mut self) -> bool {
        self.0.take().is_some()
    }
}

impl<T> Default for Told<T> {
    fn default() -> Self {
        Self(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_value_wakes_those_who_watch() {
        let (sender, mut receiver) = watch::channel(1);
        publish(&sender, 1);
        assert!(!receiver.has_changed().unwrap());
        publish(&sender, 2);
        assert_eq!((receiver.has_changed().unwrap(), *receiver.borrow_and_update()), (true, 2));
    }

    #[test]
    fn a_lasting_trouble_is_news_once_and_again_after_it_was_over() {
        let mut told = Told::default();
        let mut heard = vec![told.is_over()];
        heard.extend(["refused", "refused", "timed out"].map(|trouble| told.is_news(trouble)));
        heard.extend([told.is_over(), told.is_over(), told.is_news("timed out")]);
        assert_eq!(heard, [false, true, false, true, true, false, true]);
    }
}
