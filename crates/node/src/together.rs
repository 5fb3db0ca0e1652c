//! Many releases at once, so that they share commits.

use tokio::task::JoinSet;

/// Releases under way at once; a commit takes more than that.
const AT_ONCE: usize = 64;

/// Does `work` on every item and hands each outcome to `done`, which says whether to begin more. What has begun is always
/// waited for.
pub(crate) async fn together<T, R, F>(
    items: impl IntoIterator<Item = T>,
    mut work: impl FnMut(T) -> F,
    mut done: impl FnMut(R) -> bool,
) where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let mut items = items.into_iter().fuse();
    let mut running = JoinSet::new();
    let mut more = true;
    loop {
        while more && running.len() < AT_ONCE {
            let Some(item) = items.next() else { break };
            running.spawn(work(item));
        }
        match running.join_next().await {
            None => return,
            Some(Ok(outcome)) => more &= done(outcome),
            // A panic is ours: it has said what it had to say, and the item counts as not done.
            Some(Err(_)) => more = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn everything_is_done_and_not_too_much_at_once() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut sum = 0;
        let work = |number: usize| {
            let (running, most) = (running.clone(), most.clone());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::Relaxed);
                number
            }
        };
        together(0..1000, work, |number| {
            sum += number;
            true
        })
        .await;
        assert_eq!((sum, most.load(Ordering::Relaxed)), (499_500, AT_ONCE));
    }

    #[tokio::test]
    async fn nothing_is_begun_after_it_was_stopped() {
        let mut count = 0;
        together(
            0..1000,
            |number| async move { number },
            |_| {
                count += 1;
                false
            },
        )
        .await;
        assert_eq!(count, AT_ONCE, "what had begun was waited for");
    }
}
