// What a connection's thread and its callers share: state, the wish to stop, and the bell that wakes the thread.

internal import CRabbitMQShims
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#endif

final class AMQPControl: Sendable {
    private struct Shared {
        var state = AMQPConnectionState.connecting(lastError: nil)
        var isStarted = false
        var isStopping = false
        var hasEnded = false
        var waiters: [CheckedContinuation<Void, Never>] = []
        /// A descriptor of our own for the connection's socket: librabbitmq may close its own at any time.
        var socket: Int32?
    }

    private let shared = Mutex(Shared())
    private let bell: Int32

    init() {
        bell = postern_amqp_make_bell()
        precondition(bell >= 0, "no bell can be made: \(systemMessage(errno))")
    }

    deinit {
        if let socket = shared.withLock({ $0.socket }) { Glibc.close(socket) }
        Glibc.close(bell)
    }

    var state: AMQPConnectionState { shared.withLock { $0.state } }
    var isStopping: Bool { shared.withLock { $0.isStopping } }

    // MARK: - Callers

    /// True the first time, unless stopped before.
    func begin() -> Bool {
        shared.withLock { shared in
            guard !shared.isStarted, !shared.isStopping else { return false }
            shared.isStarted = true
            return true
        }
    }

    /// Asks the thread to end; never started, it has ended.
    func requestStop() {
        shared.withLock { shared in
            shared.isStopping = true
            if !shared.isStarted { shared.state = .closed }
        }
        ring()
    }

    /// Asks the thread to end and waits for it. When it is not done by `patience`, its socket is shut under it.
    func stop(patience: Duration) async {
        requestStop()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // Cancelled as soon as the thread has ended.
                guard (try? await Task.sleep(for: patience)) != nil else { return }
                self.shutSocket()
            }
            await withCheckedContinuation { continuation in
                let isOver = shared.withLock { shared in
                    if shared.hasEnded || !shared.isStarted { return true }
                    shared.waiters.append(continuation)
                    return false
                }
                if isOver { continuation.resume() }
            }
            group.cancelAll()
        }
    }

    /// Wakes the thread from `wait`.
    func ring() {
        var one: UInt64 = 1
        // It fails only when the counter is full, and then the bell is ringing.
        _ = write(bell, &one, 8)
    }

    private func shutSocket() {
        shared.withLock { shared in
            if let socket = shared.socket { shutdown(socket, Int32(SHUT_RDWR)) }
        }
    }

    // MARK: - The thread

    func set(_ state: AMQPConnectionState) { shared.withLock { $0.state = state } }

    /// Keeps a copy of the connection's socket for `stop`.
    func opened(_ socket: Int32) {
        let copy = fcntl(socket, F_DUPFD_CLOEXEC, 0)
        shared.withLock { shared in
            if let old = shared.socket { Glibc.close(old) }
            shared.socket = copy >= 0 ? copy : nil
        }
    }

    func closed() {
        shared.withLock { shared in
            if let old = shared.socket { Glibc.close(old) }
            shared.socket = nil
        }
    }

    func end() {
        closed()
        let waiters = shared.withLock { shared in
            shared.state = .closed
            shared.hasEnded = true
            defer { shared.waiters = [] }
            return shared.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Sleeps until the bell rings, the socket has bytes (or takes some, if asked), or time is up.
    func wait(for socket: Int32?, writable: Bool = false, atMost patience: Duration) {
        var descriptors = [pollfd(fd: bell, events: Int16(POLLIN), revents: 0)]
        if let socket {
            descriptors.append(pollfd(fd: socket, events: Int16(writable ? POLLIN | POLLOUT : POLLIN), revents: 0))
        }
        let milliseconds = Int32(clamping: max(patience.milliseconds, 0))
        let count = poll(&descriptors, nfds_t(descriptors.count), milliseconds)
        guard count > 0, descriptors[0].revents != 0 else { return }
        var rings: UInt64 = 0
        _ = read(bell, &rings, 8)
    }

    /// Whether the socket takes bytes now. The kernel says yes only while a third of its buffer is free.
    static func isWritable(_ socket: Int32) -> Bool {
        var descriptor = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
        return poll(&descriptor, 1, 0) > 0
    }
}
