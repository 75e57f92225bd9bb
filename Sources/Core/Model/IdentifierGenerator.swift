// Makes ids without asking anyone: time, the process's number, and a counter.

import Synchronization

/// 48 bits of milliseconds, 10 bits of process number (held by lease, so that no two processes share one), 22 bits of counter.
package final class IdentifierGenerator: Sendable {
    private struct State {
        var milliseconds: Int64 = 0
        var counter: UInt32
    }

    private let clock: any WallClock
    private let process: UInt64
    private let state: Mutex<State>

    /// - Parameter process: 0–1023.
    package init(process: Int, clock: any WallClock) {
        precondition((0..<1024).contains(process), "a process number has 10 bits")
        self.process = UInt64(process)
        self.clock = clock
        // A random start keeps ids unique even when the clock is set back across a restart.
        state = Mutex(State(counter: UInt32.random(in: 0..<1 << 22)))
    }

    package func next<Kind: IdentifierKind>() -> Identifier<Kind> {
        let now = clock.now().milliseconds
        let (time, counter) = state.withLock { state in
            state.milliseconds = max(state.milliseconds, now)
            state.counter += 1
            if state.counter == 1 << 22 {
                // The counter starts again: step the time, so that ids still rise.
                state.counter = 0
                state.milliseconds += 1
            }
            return (UInt64(state.milliseconds), UInt64(state.counter))
        }
        return Identifier(high: UInt16(truncatingIfNeeded: time >> 32), low: time << 32 | process << 22 | counter)
    }
}
