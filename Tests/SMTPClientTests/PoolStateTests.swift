// The pool's bookkeeping, step by step.

import Testing

@testable import SMTPClient

@Suite struct PoolStateTests {
    private final class Connection {}
    private typealias State = SMTPPoolState<Connection, String>

    private let here = SMTPDestination(host: "here", heloName: "c")
    private let there = SMTPDestination(host: "there", heloName: "c")

    private func isConnect(_ action: State.LeaseAction, evicting: Connection? = nil) -> Bool {
        if case .grant(.connect, let evicted) = action { evicted === evicting } else { false }
    }

    private func reused(_ action: State.LeaseAction) -> Connection? {
        if case .grant(.reuse(let connection, _), _) = action { connection } else { nil }
    }

    private func isWait(_ action: State.LeaseAction) -> Bool {
        if case .wait = action { true } else { false }
    }

    @Test("places are counted for each destination")
    func capacity() {
        var state = State(capacity: 2)
        #expect(isConnect(state.lease(here, fresh: false, id: 1, waiter: "a")))
        #expect(isConnect(state.lease(here, fresh: false, id: 2, waiter: "b")))
        #expect(isWait(state.lease(here, fresh: false, id: 3, waiter: "c")))
        #expect(isConnect(state.lease(there, fresh: false, id: 4, waiter: "d")))
    }

    @Test("who waits longest is served first, with the connection or with its place")
    func order() {
        var state = State(capacity: 1)
        let connection = Connection()
        _ = state.lease(here, fresh: false, id: 1, waiter: "a")
        _ = state.lease(here, fresh: false, id: 2, waiter: "b")
        _ = state.lease(here, fresh: false, id: 3, waiter: "c")
        guard case .resume("b", .reuse(let handed, uses: 1)) = state.release(here, (connection, 1)) else {
            return #expect(Bool(false))
        }
        #expect(handed === connection)
        guard case .resume("c", .connect) = state.release(here, nil) else { return #expect(Bool(false)) }
        guard case .none = state.release(here, nil) else { return #expect(Bool(false)) }
        #expect(state.isDrained)
    }

    @Test("the connection used last is used next; one asked for afresh pushes the oldest out")
    func idle() {
        var state = State(capacity: 2)
        let (old, new) = (Connection(), Connection())
        _ = state.lease(here, fresh: false, id: 1, waiter: "")
        _ = state.lease(here, fresh: false, id: 2, waiter: "")
        _ = state.release(here, (old, 1))
        _ = state.release(here, (new, 1))
        #expect(reused(state.lease(here, fresh: false, id: 3, waiter: "")) === new)
        _ = state.release(here, (new, 2))
        #expect(isConnect(state.lease(here, fresh: true, id: 4, waiter: ""), evicting: old))
        #expect(reused(state.lease(here, fresh: false, id: 5, waiter: "")) === new)
        #expect(isWait(state.lease(here, fresh: true, id: 6, waiter: "")))
    }

    @Test("a closed connection is forgotten, and an unused destination leaves nothing behind")
    func forgetting() {
        var state = State(capacity: 1)
        let connection = Connection()
        _ = state.lease(here, fresh: false, id: 1, waiter: "")
        #expect(!state.isDrained)
        _ = state.release(here, (connection, 1))
        #expect(!state.isDrained)
        state.forget(here, connection)
        state.forget(there, connection)
        #expect(state.isDrained)
        #expect(state.cancelWaiter(there, id: 9) == nil)
        #expect(state.isDrained)
    }

    @Test("a cancelled waiter is resumed once and never served")
    func cancelling() {
        var state = State(capacity: 1)
        _ = state.lease(here, fresh: false, id: 1, waiter: "a")
        _ = state.lease(here, fresh: false, id: 2, waiter: "b")
        #expect(state.cancelWaiter(here, id: 2) == "b")
        #expect(state.cancelWaiter(here, id: 2) == nil)
        guard case .none = state.release(here, nil) else { return #expect(Bool(false)) }
    }

    @Test("shutting down gives back waiters and idle connections, and ends the others as they return")
    func shutDown() {
        var state = State(capacity: 1)
        let (idle, busy) = (Connection(), Connection())
        _ = state.lease(here, fresh: false, id: 1, waiter: "")
        _ = state.release(here, (idle, 1))
        _ = state.lease(there, fresh: false, id: 2, waiter: "")
        _ = state.lease(there, fresh: false, id: 3, waiter: "w")
        let left = state.shutDown()
        #expect(left.waiters == ["w"])
        #expect(left.idle.count == 1 && left.idle[0] === idle)
        #expect(!state.isDrained)
        guard case .grant(.shutDown, nil) = state.lease(here, fresh: false, id: 4, waiter: "") else {
            return #expect(Bool(false))
        }
        guard case .end(let ended) = state.release(there, (busy, 1)) else { return #expect(Bool(false)) }
        #expect(ended === busy)
        #expect(state.isDrained)
    }
}
