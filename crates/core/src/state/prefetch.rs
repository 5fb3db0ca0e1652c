//! Telling the processor what will be read soon.
//!
//! A decision reads about ten lines of memory that are in no cache once an address space is large, and each costs as much
//! as two hundred instructions. Asked for early, they come while other work is done.

/// Asks for the cache line at the start of `target`; nothing is read, and nothing else can be seen of it.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the instruction is behind a raw pointer in std::arch")]
pub(super) fn prefetch<T>(target: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch has no effect on the program; the pointer comes from a reference anyway.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(target).cast()) }
}

/// Other processors find their way without being told.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn prefetch<T>(_target: &T) {}
