//! `sekisho demo --tour`: the story of the README, told by the program itself.

use std::process::Command;

#[test]
fn the_tour_comes_out_as_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_sekisho")).args(["demo", "--tour", "--port", "0"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("steps came out as told") && !told.contains("NOT AS TOLD"), "{told}");
}
