// The epoll set that watches all connections of a run: one system call for as many as have something to say.

import CEpoll
import Glibc

/// An epoll set whose members are known by a number of the caller's.
struct Poller: ~Copyable {
    private let descriptor: Int32
    private let events: UnsafeMutableBufferPointer<epoll_event>

    init() throws(LoadError) {
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else { throw LoadError(call: "epoll_create1", errno: errno) }
        events = .allocate(capacity: 256)
        events.initialize(repeating: epoll_event())
    }

    deinit {
        events.deallocate()
        _ = Glibc.close(descriptor)
    }

    func add(_ socket: Socket, token: Int) throws(LoadError) {
        try control(EPOLL_CTL_ADD, socket, token, watchingWrites: false)
    }

    func change(_ socket: Socket, token: Int, watchingWrites: Bool) throws(LoadError) {
        try control(EPOLL_CTL_MOD, socket, token, watchingWrites: watchingWrites)
    }

    private func control(
        _ operation: Int32,
        _ socket: Socket,
        _ token: Int,
        watchingWrites: Bool
    ) throws(LoadError) {
        var event = epoll_event()
        event.events = EPOLLIN.rawValue | (watchingWrites ? EPOLLOUT.rawValue : 0)
        event.data.u64 = UInt64(token)
        guard epoll_ctl(descriptor, operation, socket.descriptor, &event) == 0 else {
            throw LoadError(call: "epoll_ctl", errno: errno)
        }
    }

    /// How many members have something to say; 0 after `milliseconds`.
    func wait(milliseconds: Int32) throws(LoadError) -> Int {
        let count = epoll_wait(descriptor, events.baseAddress, Int32(events.count), milliseconds)
        if count >= 0 { return Int(count) }
        guard errno == EINTR else { throw LoadError(call: "epoll_wait", errno: errno) }
        return 0
    }

    func token(_ index: Int) -> Int { Int(events[index].data.u64) }
    func canWrite(_ index: Int) -> Bool { events[index].events & EPOLLOUT.rawValue != 0 }
}
