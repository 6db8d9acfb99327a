//! A panic is a mistake of ours: it fails the run it happens in, and it is told by its place alone. Its message may quote a
//! value of somebody's row.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on a panic of any thread is logged with its place and without its message.
pub fn tell_places_only() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a thread panicked");
        PLACE.with(|last| *last.borrow_mut() = Some(place));
    }));
}

/// Does something; a panic becomes the place where it happened.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // What it may leave half done is dropped with it: connections in a transaction are closed, the report is counts.
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let place = PLACE.with(|last| last.borrow_mut().take());
        place.map_or_else(|| "it panicked".to_owned(), |place| format!("it panicked at {place}"))
    })
}
