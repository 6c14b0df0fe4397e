//! Shows that something long goes on: a spinner on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal, stderr},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is printed where there is no terminal.
const EVERY: Duration = Duration::from_secs(15);
const TICK: Duration = Duration::from_millis(120);

/// Does `work` while showing `title` and the time it has taken, on standard error.
pub(crate) fn during<T>(title: &str, work: impl FnOnce() -> T) -> T {
    let bar = ProgressBar::new_spinner();
    if stderr().is_terminal() { spin(title, &bar, work) } else { report(title, &bar, work) }
}

fn spin<T>(title: &str, bar: &ProgressBar, work: impl FnOnce() -> T) -> T {
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("the template is right");
    bar.set_style(style);
    bar.set_message(title.to_owned());
    bar.enable_steady_tick(TICK);
    let done = work();
    bar.finish();
    done
}

fn report<T>(title: &str, bar: &ProgressBar, work: impl FnOnce() -> T) -> T {
    eprintln!("{title} …");
    let (end, ended) = channel();
    thread::scope(|scope| {
        scope.spawn(move || tell(title, bar, &ended));
        let done = work();
        drop(end);
        eprintln!("{title}: {} s", bar.elapsed().as_secs());
        done
    })
}

/// Prints a line every now and then until the other end of the channel is dropped.
fn tell(title: &str, bar: &ProgressBar, ended: &Receiver<()>) {
    while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
        eprintln!("{title} … {} s", bar.elapsed().as_secs());
    }
}
