// Who may use which connection, and who waits: the pool's bookkeeping, without locks, channels or tasks.

import NIOCore

/// What comes of asking for a connection.
enum SMTPPoolGrant<Connection> {
    /// A connection that has carried `uses` messages already.
    case reuse(Connection, uses: Int)
    /// A place to open a connection in.
    case connect
    case shutDown
    case cancelled
}

/// - Parameters:
///   - Connection: compared by identity.
///   - Waiter: whatever the pool resumes somebody by.
struct SMTPPoolState<Connection: AnyObject, Waiter> {
    typealias Grant = SMTPPoolGrant<Connection>

    private struct Slots {
        var idle: [(connection: Connection, uses: Int)] = []
        /// Leased connections and those being opened.
        var busy = 0
        var waiters: CircularBuffer<(id: UInt64, waiter: Waiter)> = []

        var isEmpty: Bool { idle.isEmpty && busy == 0 && waiters.isEmpty }
    }

    private let capacity: Int
    private var destinations: [SMTPDestination: Slots] = [:]
    private var lastID: UInt64 = 0
    private(set) var isShutDown = false

    /// - Parameter capacity: connections to one destination, busy and idle.
    init(capacity: Int) {
        precondition(capacity > 0, "a destination has at least one connection")
        self.capacity = capacity
    }

    var isDrained: Bool { destinations.isEmpty }

    mutating func makeID() -> UInt64 {
        lastID += 1
        return lastID
    }

    enum LeaseAction {
        /// `evicted` gave up its place and is to be ended.
        case grant(Grant, evicted: Connection?)
        /// The waiter is kept until a place is free.
        case wait
    }

    /// - Parameter fresh: an idle connection will not do: one was just found dead.
    mutating func lease(_ destination: SMTPDestination, fresh: Bool, id: UInt64, waiter: Waiter) -> LeaseAction {
        if isShutDown { return .grant(.shutDown, evicted: nil) }
        var slots = destinations.removeValue(forKey: destination) ?? Slots()
        defer { destinations[destination] = slots }
        // The one used last is the least likely to have been dropped.
        if !fresh, let last = slots.idle.popLast() {
            slots.busy += 1
            return .grant(.reuse(last.connection, uses: last.uses), evicted: nil)
        }
        if slots.busy + slots.idle.count < capacity {
            slots.busy += 1
            return .grant(.connect, evicted: nil)
        }
        if !slots.idle.isEmpty {
            slots.busy += 1
            return .grant(.connect, evicted: slots.idle.removeFirst().connection)
        }
        slots.waiters.append((id, waiter))
        return .wait
    }

    mutating func cancelWaiter(_ destination: SMTPDestination, id: UInt64) -> Waiter? {
        update(destination) { slots in
            guard let index = slots.waiters.firstIndex(where: { $0.id == id }) else { return nil }
            return slots.waiters.remove(at: index).waiter
        }
    }

    enum ReleaseAction {
        case none
        case resume(Waiter, Grant)
        case end(Connection)
    }

    /// Gives a place back, with its connection when that is good for another message.
    mutating func release(_ destination: SMTPDestination, _ returned: (connection: Connection, uses: Int)?)
        -> ReleaseAction
    {
        let isShutDown = isShutDown
        return update(destination) { slots in
            precondition(slots.busy > 0, "only what was leased is given back")
            slots.busy -= 1
            if let (_, waiter) = slots.waiters.popFirst() {
                slots.busy += 1
                return .resume(waiter, returned.map { .reuse($0.connection, uses: $0.uses) } ?? .connect)
            }
            guard let returned else { return .none }
            if isShutDown { return .end(returned.connection) }
            slots.idle.append(returned)
            return .none
        }
    }

    /// An idle connection has been closed.
    mutating func forget(_ destination: SMTPDestination, _ connection: Connection) {
        update(destination) { $0.idle.removeAll { $0.connection === connection } }
    }

    /// Nothing is leased from now on. Returns who waited, and the connections that nobody uses.
    mutating func shutDown() -> (waiters: [Waiter], idle: [Connection]) {
        isShutDown = true
        var waiters: [Waiter] = []
        var idle: [Connection] = []
        for destination in Array(destinations.keys) {
            update(destination) { slots in
                waiters += slots.waiters.map(\.waiter)
                idle += slots.idle.map(\.connection)
                slots.waiters.removeAll()
                slots.idle.removeAll()
            }
        }
        return (waiters, idle)
    }

    private mutating func update<Result>(_ destination: SMTPDestination, _ body: (inout Slots) -> Result) -> Result {
        var slots = destinations.removeValue(forKey: destination) ?? Slots()
        defer { if !slots.isEmpty { destinations[destination] = slots } }
        return body(&slots)
    }
}
