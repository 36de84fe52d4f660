//! Connections without a task.

use tokio::task::LocalSet;

use super::Storm;

#[test]
fn a_connection_has_a_task_only_while_there_is_something_to_see_to() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut storm = Storm::new(1);
        let rest = async |storm: &mut Storm| {
            for _ in 0..4 {
                storm.turn().await;
            }
        };
        storm.connect(0);
        let connection = storm.visitors[0].line.as_ref().unwrap().connection.clone();
        assert!(connection.cord.is_attended());
        rest(&mut storm).await;
        assert!(!connection.cord.is_attended());
        storm.visitors[0].ping();
        storm.sockets.tell_changes(|| true);
        assert!(connection.cord.is_attended());
        rest(&mut storm).await;
        assert!(!connection.cord.is_attended() && storm.visitors[0].messages == 1);
    });
}
