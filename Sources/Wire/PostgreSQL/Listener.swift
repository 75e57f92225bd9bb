// Announcements among processes: LISTEN and NOTIFY on a connection of its own.

import CPQ
import SQL
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Never a part of anyone's transaction: a commit with a NOTIFY in it waits for a lock that the whole server shares.
final class Listener: Sendable {
    private struct State {
        var pending: Set<String> = []
        var isStarted = false
        var isClosed = false
        var closing: [CheckedContinuation<Void, Never>] = []
    }

    /// Seconds in which announcements of the same topic are one.
    private static let window = 0.1

    private let dial: Dial
    private let board = AnnouncementBoard()
    private let state = Mutex(State())
    /// A pipe that wakes the thread from its `poll`; without one it looks every second.
    private let bell: (hear: Int32, ring: Int32)

    init(_ dial: Dial) {
        self.dial = dial
        var ends: [Int32] = [-1, -1]
        _ = pipe(&ends)
        for end in ends where end >= 0 {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        bell = (ends[0], ends[1])
    }

    deinit {
        for end in [bell.hear, bell.ring] where end >= 0 { Glibc.close(end) }
    }

    func announce(_ topic: String) {
        guard topic.utf8.count < 1000, !topic.utf8.contains(0) else { return }
        let isNew = state.withLock { !$0.isClosed && $0.pending.insert(topic).inserted }
        guard isNew else { return }
        board.publish(topic)
        start()
        ring()
    }

    func listen() -> AsyncStream<String> {
        let stream = board.listen()
        start()
        return stream
    }

    func close() async {
        await withCheckedContinuation { continuation in
            let isRunning = state.withLock { state in
                state.isClosed = true
                if state.isStarted { state.closing.append(continuation) }
                return state.isStarted
            }
            if isRunning { ring() } else { continuation.resume() }
        }
        board.close()
    }

    private func start() {
        let mustStart = state.withLock { state in
            guard !state.isStarted, !state.isClosed else { return false }
            state.isStarted = true
            return true
        }
        guard mustStart else { return }
        if !OwnThread.start({ self.run() }) { ended() }
    }

    private func ended() {
        let closing = state.withLock { state in
            defer { state.closing = [] }
            state.isStarted = false
            return state.closing
        }
        for continuation in closing { continuation.resume() }
    }

    /// A full pipe is loud enough.
    private func ring() { _ = write(bell.ring, [1], 1) }

    private var isClosed: Bool { state.withLock { $0.isClosed } }
}

// The thread.
extension Listener {
    private func run() {
        let line = Line(dial, .listener)
        var isFirst = true
        while !isClosed {
            do {
                try serve(try connect(line), &isFirst)
            } catch {
                line.hangUp()
                _ = wait(-1, seconds: max(dial.pause, 0.05))
            }
        }
        line.hangUp()
        ended()
    }

    private func connect(_ line: Line) throws -> Link {
        let link = try line.link()
        try link.add("LISTEN postern")
        try link.exchange()
        return link
    }

    private func serve(_ link: Link, _ isFirst: inout Bool) throws {
        // What was announced while nobody listened is not known.
        if !isFirst { board.publish("*") }
        isFirst = false
        var next = ContinuousClock.now
        while !isClosed {
            deliver(link)
            let hasPending = state.withLock { !$0.pending.isEmpty }
            if hasPending, next <= .now {
                try notify(link)
                next = .now.advanced(by: .seconds(Self.window))
                continue
            }
            let pause = hasPending ? ContinuousClock.now.duration(to: next) / .seconds(1) : 60
            if wait(PQsocket(link.handle), seconds: pause), !link.isUsable() { throw Failure.lost("announcements") }
        }
    }

    private func deliver(_ link: Link) {
        let own = PQbackendPID(link.handle)
        while let notification = PQnotifies(link.handle) {
            defer { PQfreemem(notification) }
            guard notification.pointee.be_pid != own, let topic = notification.pointee.extra else { continue }
            board.publish(String(cString: topic))
        }
    }

    private func notify(_ link: Link) throws {
        let topics = state.withLock { state in
            defer { state.pending = [] }
            return state.pending
        }
        for topic in topics { try link.add("SELECT pg_notify('postern', \(topic))") }
        try link.exchange()
    }

    /// - Returns: whether something came from the server.
    private func wait(_ socket: Int32, seconds: Double) -> Bool {
        var entries = [
            pollfd(fd: bell.hear, events: Int16(POLLIN), revents: 0),
            pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
        ]
        poll(&entries, 2, Int32(max(min(seconds, bell.hear < 0 ? 1 : 60) * 1000, 0).rounded(.up)))
        var rings = [UInt8](repeating: 0, count: 64)
        if entries[0].revents != 0 { _ = read(bell.hear, &rings, rings.count) }
        return entries[1].revents != 0
    }
}
