// The loop: one thread, one epoll set, any number of connections. It runs on the machine that it measures, so what it
// spends a message is kept small and is reported beside the result.

import Glibc

package struct LoadRunner<Talk: Conversation>: ~Copyable {
    private struct Connection {
        let socket: Socket
        var talk: Talk
        /// What the kernel would not take yet.
        var unsent: [UInt8] = []
        var accepted = 0
        /// The number of the message under way.
        var serial = 0
        var began = Clock.Instant()
    }

    /// Refusals after which the run is given up: something is wrong, and more of the same says nothing.
    private static var mostRefusals: Int { 100 }

    private let plan: Plan
    private let script: Script
    private let makeTalk: () -> Talk
    private var payload: Payload
    private let poller: Poller
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    private var connections: [Connection?]
    private var waiting: [Int] = []
    private var isStarted: Bool
    private var opened = 0
    private var begun = 0
    private var report: Report

    package init(_ plan: Plan, script: Script, payload: Payload, makeTalk: @escaping () -> Talk) throws {
        self.plan = plan
        self.script = script
        self.payload = payload
        self.makeTalk = makeTalk
        poller = try Poller()
        connections = Array(repeating: nil, count: plan.sessions)
        // Where each connection serves for the whole run, the clock starts when all are set up; where connections come
        // and go, setting up is part of the work.
        isStarted = plan.messagesPerSession > 0
        report = Report(expecting: plan.messages)
    }

    deinit {
        for connection in connections { connection?.socket.close() }
        buffer.deallocate()
    }

    /// Sends all messages and says how it went.
    package consuming func run() throws -> Report {
        report.start()
        try openAll()
        while report.finished < plan.messages {
            try turn()
        }
        report.stop()
        return report
    }

    /// Opens all connections, calls `body` once each is ready for a message, and closes them.
    package consuming func hold(_ body: () -> Void) throws {
        isStarted = false
        report.start()
        try openAll()
        while waiting.count < plan.sessions {
            try turn()
        }
        body()
    }

    private mutating func openAll() throws(LoadError) {
        for index in connections.indices { try open(index) }
    }

    private mutating func open(_ index: Int) throws(LoadError) {
        let source = plan.sources > 0 ? Address.loopbackSource(opened, of: plan.sources) : nil
        opened += 1
        let socket = try Socket(to: plan.peer, from: source)
        connections[index] = Connection(socket: socket, talk: makeTalk())
        try poller.add(socket, token: index)
        if !Talk.peerSpeaksFirst { try becameReady(index) }
    }

    private mutating func turn() throws(LoadError) {
        let count = try poller.wait(milliseconds: 1_000)
        if report.secondsSoFar > Double(plan.timeout) {
            throw LoadError(
                """
                given up after \(plan.timeout) s with \(report.accepted) of \(plan.messages) messages accepted, \
                \(waiting.count) of \(plan.sessions) connections waiting; first problem: \(report.problem ?? "none")
                """
            )
        }
        for event in 0..<count {
            let index = poller.token(event)
            if poller.canWrite(event) { try sendRest(index) }
            try read(index)
        }
    }

    private mutating func read(_ index: Int) throws(LoadError) {
        guard let socket = connections[index]?.socket else { return }
        switch socket.receive(into: buffer) {
        case .nothing:
            return
        case .ended:
            try lost(index)
        case .bytes(let count):
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            var position = 0
            while connections[index] != nil, let action = connections[index]?.talk.next(bytes, from: &position),
                action != .wait
            {
                try perform(action, index)
            }
        }
    }

    private mutating func perform(_ action: Action, _ index: Int) throws(LoadError) {
        switch action {
        case .wait:
            break
        case .send(let outgoing):
            try write(outgoing, index)
        case .ready:
            try becameReady(index)
        case .accepted:
            if let began = connections[index]?.began { report.accept(since: began) }
            connections[index]?.accepted += 1
            try becameReady(index)
        case .refused(let text):
            report.refuse(text, wasMessage: isStarted)
            try giveUpIfHopeless()
            try reopen(index)
        case .finished:
            try reopen(index)
        }
    }

    private mutating func becameReady(_ index: Int) throws(LoadError) {
        guard isStarted else {
            waiting.append(index)
            guard waiting.count == plan.sessions, plan.messages > 0 else { return }
            isStarted = true
            report.start()
            let all = waiting
            waiting.removeAll()
            for one in all { try becameReady(one) }
            return
        }
        if let done = connections[index]?.accepted, plan.messagesPerSession > 0, done >= plan.messagesPerSession {
            if let farewell = connections[index]?.talk.end() { try write(farewell, index) } else { try reopen(index) }
        } else if begun < plan.messages, let first = connections[index]?.talk.begin() {
            begun += 1
            connections[index]?.serial = begun
            connections[index]?.began = Clock.Instant.now
            try write(first, index)
        }
    }

    private mutating func write(_ outgoing: Outgoing, _ index: Int) throws(LoadError) {
        guard let socket = connections[index]?.socket, let serial = connections[index]?.serial else { return }
        // A conversation sends on only after an answer, so nothing can be left over from before.
        let (taken, rest): (Int?, [UInt8]) =
            switch outgoing {
            case .piece(let piece): script.pieces[piece].withUnsafeBytes { send($0, socket) }
            case .message: payload.withBytes(serial: serial) { send($0, socket) }
            }
        guard taken != nil else { return try lost(index) }
        if !rest.isEmpty {
            connections[index]?.unsent = rest
            try poller.change(socket, token: index, watchingWrites: true)
        }
    }

    private mutating func sendRest(_ index: Int) throws(LoadError) {
        guard let socket = connections[index]?.socket, let unsent = connections[index]?.unsent else { return }
        let (taken, rest) = unsent.withUnsafeBytes { send($0, socket) }
        guard taken != nil else { return try lost(index) }
        connections[index]?.unsent = rest
        if rest.isEmpty { try poller.change(socket, token: index, watchingWrites: false) }
    }

    private mutating func lost(_ index: Int) throws(LoadError) {
        report.refuse("the peer closed the connection", wasMessage: isStarted)
        try giveUpIfHopeless()
        try reopen(index)
    }

    private mutating func reopen(_ index: Int) throws(LoadError) {
        connections[index]?.socket.close()
        connections[index] = nil
        if begun < plan.messages || !isStarted { try open(index) }
    }

    private func giveUpIfHopeless() throws(LoadError) {
        guard report.refused > Self.mostRefusals else { return }
        throw LoadError("\(report.refused) refusals; the first: \(report.problem ?? "without a word")")
    }
}

/// What the kernel took of the bytes (nil: the connection is gone) and a copy of what it left.
private func send(_ bytes: UnsafeRawBufferPointer, _ socket: Socket) -> (taken: Int?, rest: [UInt8]) {
    let taken = socket.send(bytes)
    return (taken, taken.map { Array(bytes.dropFirst($0)) } ?? [])
}
