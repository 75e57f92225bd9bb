// One connection to the server, used by one thread: statements go out in a pipeline, and their answers are waited for together.

import CPQ
import SQL

#if canImport(Glibc)
import Glibc
#endif

/// Never blocks for longer than its limits: libpq's non-blocking calls and `poll`. While much is being sent, answers are read,
/// so that the two sides never wait for each other.
final class Link {
    /// What the server owes us, in order.
    private enum Owed {
        case statement(CachedStatement)
        case preparation(CachedStatement)
        case other
    }

    /// Bytes that may pile up before some are sent.
    private static let pile = 256 << 10

    let handle: OpaquePointer
    private(set) var isLost = false
    private let patience: Double
    private let role: Role
    private var statements: StatementCache
    private var parameters = Parameters()
    private var owed: [Owed] = []
    private var piled = 0

    /// Takes over a connection that has been made and set up.
    init(_ handle: OpaquePointer, role: Role, limits: PostgreSQLConfiguration.Limits) {
        self.handle = handle
        self.role = role
        patience = limits.statementTimeout + limits.silence
        statements = StatementCache(limit: limits.statements, writes: role != .reader)
        PQsetnonblocking(handle, 1)
        PQenterPipelineMode(handle)
    }

    deinit { PQfinish(handle) }

    /// Whether an idle connection is still there, as far as can be told without asking the server.
    func isUsable() -> Bool {
        // What comes unasked is a notice, a farewell, or the end.
        for _ in 0..<16 where !isLost {
            guard ready(POLLIN, milliseconds: 0) != 0 else { return true }
            if PQconsumeInput(handle) == 0 || PQstatus(handle) != CONNECTION_OK {
                isLost = true
            } else {
                PQisBusy(handle)
            }
        }
        return false
    }

    /// Adds a statement to what goes out next.
    func add(_ statement: SQLStatement) throws(Failure) {
        guard statement.values.count <= Int(PQ_QUERY_PARAM_MAX_LIMIT) else {
            throw Failure(SQLError(.failure, "a statement has \(statement.values.count) values"))
        }
        do throws(SQLError) {
            try parameters.fill(statement.values, isQuestion: role == .reader)
        } catch {
            throw Failure(error)
        }
        let (cached, mustPrepare) = statements.use(statement)
        if mustPrepare, let name = cached.name {
            try check(PQsendPrepare(handle, name, cached.text, Int32(cached.types.count), cached.types))
            owed.append(.preparation(cached))
        }
        let count = Int32(statement.values.count)
        let sent = parameters.withPointers { values, lengths, formats in
            if let name = cached.name {
                PQsendQueryPrepared(handle, name, count, values, lengths, formats, 1)
            } else {
                PQsendQueryParams(handle, cached.text, count, cached.types, values, lengths, formats, 1)
            }
        }
        try check(sent)
        owed.append(.statement(cached))
        piled += parameters.size + 64
        if piled > Self.pile { try flush() }
    }

    /// Whether something waits for `exchange`.
    var owesAnswers: Bool { !owed.isEmpty }

    /// Tells the server to forget what the cache has forgotten. Only where no failed transaction is open.
    func dropForgotten() throws(Failure) {
        for name in statements.takeDropped() {
            try check(PQsendQueryParams(handle, "DEALLOCATE \(name)", 0, nil, nil, nil, nil, 0))
            owed.append(.other)
        }
    }

    /// Sends what waits and collects the answers.
    /// - Returns: the last statement's.
    /// - Throws: the first failure; the server skipped whatever came after it.
    @discardableResult
    func exchange() throws(Failure) -> Answer? {
        try check(PQpipelineSync(handle))
        try flush()
        var last: Answer?
        var failure: Failure?
        for item in owed {
            let answer = try next()
            switch PQresultStatus(answer?.result) {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
                if case .statement = item { last = answer }
            case PGRES_PIPELINE_ABORTED:
                if case .preparation(let statement) = item { statement.forgetName() }
            default:
                let found = self.failure(answer, item)
                failure = failure ?? found
                if isLost { throw failure ?? found }
            }
            // Each answer ends with an empty one.
            while try next() != nil {}
        }
        owed.removeAll(keepingCapacity: true)
        guard let end = try next(), PQresultStatus(end.result) == PGRES_PIPELINE_SYNC else {
            throw lose("the server's answers are out of step")
        }
        if let failure { throw failure }
        return last
    }

    /// Runs statements without parameters outside of the pipeline, all in one text.
    /// - Returns: the last answer; its values are texts.
    @discardableResult
    func script(_ text: String, isPatient: Bool) throws(Failure) -> Answer? {
        if owesAnswers { try exchange() }
        try check(PQexitPipelineMode(handle))
        try check(PQsendQuery(handle, text))
        try flush()
        var last: Answer?
        var failure: Failure?
        while let answer = try next(isPatient: isPatient) {
            switch PQresultStatus(answer.result) {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: last = answer
            default:
                failure = failure ?? self.failure(answer, .other)
                if isLost, let failure { throw failure }
            }
        }
        try check(PQenterPipelineMode(handle))
        if let failure { throw failure }
        return last
    }
}

// Bytes in and out.
extension Link {
    /// Sends all that waits, and reads meanwhile whatever comes.
    private func flush() throws(Failure) {
        while true {
            switch PQflush(handle) {
            case 0:
                piled = 0
                return
            case 1:
                let events = try wait(POLLIN | POLLOUT)
                if events & POLLIN != 0 { try consume() }
            default: throw lose()
            }
        }
    }

    private func next(isPatient: Bool = false) throws(Failure) -> Answer? {
        while PQisBusy(handle) == 1 {
            _ = try wait(POLLIN, isPatient: isPatient)
            try consume()
        }
        return PQgetResult(handle).map(Answer.init)
    }

    private func consume() throws(Failure) {
        guard PQconsumeInput(handle) == 1 else { throw lose() }
    }

    /// Waits until the socket can be used; each time that something moves, patience begins anew.
    private func wait(_ events: Int32, isPatient: Bool = false) throws(Failure) -> Int32 {
        let end = ContinuousClock.now.advanced(by: .seconds(patience))
        repeat {
            let found = ready(events, milliseconds: 1000)
            if found != 0 { return found }
        } while isPatient || ContinuousClock.now < end
        throw lose("no answer for \(Int(patience)) s")
    }

    private func ready(_ events: Int32, milliseconds: Int32) -> Int32 {
        var entry = pollfd(fd: PQsocket(handle), events: Int16(truncatingIfNeeded: events), revents: 0)
        guard entry.fd >= 0, poll(&entry, 1, milliseconds) > 0 else { return 0 }
        // A hang-up is found by reading.
        return entry.revents & ~Int16(events) != 0 ? events : Int32(entry.revents)
    }

    private func check(_ code: Int32) throws(Failure) {
        guard code == 1 else { throw lose() }
    }

    private func failure(_ answer: Answer?, _ item: Owed) -> Failure {
        guard let answer, PQstatus(handle) == CONNECTION_OK else { return lose() }
        let error = ServerError(answer.result)
        if error.endsConnection {
            isLost = true
            return error.failure
        }
        // The server has become a standby; its successor is found by connecting again.
        if role == .writer, error.state == "25006" { return lose(error.message) }
        switch item {
        case .preparation(let statement):
            statement.forgetName()
            return indeterminate(error, statement)
        case .statement(let statement): return indeterminate(error, statement)
        case .other: return error.failure
        }
    }

    /// 42P18: nothing in the statement says of which type a parameter is ("… of parameter $3"), and its value is NULL.
    private func indeterminate(_ error: ServerError, _ statement: CachedStatement) -> Failure {
        guard error.state == "42P18" else { return error.failure }
        let number = error.message.firstMatch(of: #/\$([0-9]+)/#).flatMap { Int($0.1) }
        return statement.nameType(of: number) ? Failure(error.failure.error, .again) : error.failure
    }

    private func lose(_ why: String? = nil) -> Failure {
        isLost = true
        return .lost(why ?? Self.message(handle))
    }

    static func message(_ handle: OpaquePointer) -> String {
        let text = PQerrorMessage(handle).map { String(cString: $0) } ?? ""
        return text.split(separator: "\n").first.map { String($0).trimmed } ?? "no reason given"
    }
}
