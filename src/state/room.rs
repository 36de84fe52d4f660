//! Room in queues whose greatest length is known.

use std::collections::VecDeque;

/// Makes room for one more where there is none: twice as much, as a queue does by itself, but not
/// beyond `most`. Of 1,440 minutes a queue would otherwise keep 608 places that it never fills.
pub(super) fn make_room<T>(queue: &mut VecDeque<T>, most: usize) {
    let length = queue.len();
    if length == queue.capacity() {
        queue.reserve_exact(length.max(4).min(most.saturating_sub(length)).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_grows_by_doubling_up_to_its_limit_and_beyond_it_one_by_one() {
        let mut queue = VecDeque::new();
        let mut sizes = Vec::new();
        for number in 0..22 {
            make_room(&mut queue, 20);
            queue.push_back(number);
            sizes.push(queue.capacity());
        }
        sizes.dedup();
        assert_eq!(sizes, [4, 8, 16, 20, 21, 22]);
    }
}
