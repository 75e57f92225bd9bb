// Hands messages to MailerQ by `POST /v1/inject`, one a request. What becomes of them comes back through the result queues.

import JSON
package import Model
package import SQL
package import Store
import Synchronization

package final class MailerQHTTPRoute: Route {
    package let grouping = RouteGrouping.any(maximum: 64)
    package let kind: RouteKind
    /// Requests at once, of one call.
    private let concurrency = 8
    private let path = "/v1/inject"
    private let http: any MailerQHTTP
    private let handOvers: MailerQHandOvers
    private let clock: any WallClock
    private let breaker: Mutex<CircuitBreaker>

    /// - Parameters:
    ///   - maximumBytes: of a document.
    ///   - hasResults: whether MailerQ's result queues reach us. Without them nothing more is ever heard of a message, so that
    ///     MailerQ's yes is its end.
    package init(
        http: any MailerQHTTP,
        database: any SQLDatabase,
        mapping: MailerQMapping,
        maximumBytes: Int = 128 << 20,
        hasResults: Bool,
        breaker: CircuitBreaker.Configuration = .init(),
        clock: any WallClock
    ) {
        self.http = http
        kind = hasResults ? .handsOver : .delivers
        handOvers = MailerQHandOvers(database: database, mapping: mapping, maximumBytes: maximumBytes)
        self.clock = clock
        self.breaker = Mutex(CircuitBreaker(breaker))
    }

    package var isAvailable: Bool { breaker.withLock { $0.wouldAdmit(at: clock.now()) } }

    /// Whether requests go out at the moment.
    package var condition: CircuitBreaker.Condition { breaker.withLock { $0.condition } }

    package func deliver(_ messages: [ClaimedMessage]) async -> [RouteOutcome] {
        await handOvers.forEachBatch(of: messages, post)
    }

    private func post(_ items: [MailerQHandOvers.Item]) async -> [RouteOutcome] {
        await withTaskGroup(of: (Int, RouteOutcome).self) { group in
            var outcomes = [RouteOutcome?](repeating: nil, count: items.count)
            for (index, item) in items.enumerated() {
                if index >= concurrency, let (done, outcome) = await group.next() { outcomes[done] = outcome }
                group.addTask {
                    switch item {
                    case .settled(let outcome): (index, outcome)
                    case .ready(let message, let document): (index, await self.post(message, document))
                    }
                }
            }
            for await (done, outcome) in group { outcomes[done] = outcome }
            return outcomes.compactMap { $0 }
        }
    }

    private func post(_ message: ClaimedMessage, _ document: MailerQDocument) async -> RouteOutcome {
        let permit: CircuitBreaker.Permit
        switch breaker.withLock({ $0.admit(at: clock.now()) }) {
        case .allowed(let allowed): permit = allowed
        case .refused(let until):
            let when = until.map { "not before \($0)" } ?? "until the request that is on its way has its answer"
            guard kind == .delivers else { return RouteOutcome(message: message, result: .notTried) }
            return outcome(message, .deferred, "MailerQ's HTTP failed repeatedly and is not asked again, \(when)")
        }
        let answer = await http.post(path: path, body: document.json)
        let verdict = Verdict(answer)
        breaker.withLock { breaker in
            switch verdict.health {
            case .good: breaker.succeeded(permit)
            case .bad: breaker.failed(permit, at: clock.now())
            case .misconfigured: breaker.failed(permit, at: clock.now(), isLasting: true)
            }
        }
        let isOver = kind == .delivers && verdict.result == .handedOver
        return outcome(
            message, isOver ? .delivered : verdict.result,
            isOver ? "MailerQ has it and answers for it: its results do not reach us" : verdict.reason,
            status: verdict.status, isAmbiguous: verdict.isAmbiguous)
    }

    private func outcome(
        _ message: ClaimedMessage,
        _ result: RouteOutcome.Result,
        _ reason: String?,
        status: Int? = nil,
        isAmbiguous: Bool = false
    ) -> RouteOutcome {
        var writer = JSONWriter()
        writer.object { writer in
            if let reason { writer.member("reason", reason) }
            writer.member("path", path)
            if let status { writer.member("http_status", status) }
            if isAmbiguous { writer.member("ambiguous", true) }
        }
        return RouteOutcome(
            message: message, result: result, reply: reason.map { Foreign($0) }, detail: Foreign(writer.text))
    }
}

extension MailerQHTTPRoute {
    /// What an answer means for its message, and what it says about the server.
    private struct Verdict {
        enum Health { case good, bad, misconfigured }

        var result: RouteOutcome.Result
        var health: Health
        var reason: String?
        var status: Int?
        var isAmbiguous = false

        init(_ answer: Result<MailerQHTTPAnswer, MailerQHTTPFailure>) {
            switch answer {
            case .failure(let failure):
                (result, health, reason) = (.deferred, .bad, failure.reason)
                isAmbiguous = failure.isAmbiguous
            case .success(let answer):
                status = answer.status
                let words = "MailerQ answered \(answer.status)\(Self.text(answer.body))"
                switch answer.status {
                case 200..<300: (result, health) = (.handedOver, .good)
                case 400, 413, 422: (result, health, reason) = (.failed, .good, words)
                // 5xx: it may have been published before the error.
                case 408, 429, 500...:
                    (result, health, reason) = (.deferred, .bad, words)
                    isAmbiguous = answer.status >= 500
                // Credentials, path or address are wrong: redirects are not followed.
                default: (result, health, reason) = (.deferred, .misconfigured, "configuration: \(words)")
                }
            }
        }

        /// The beginning of a body as one line.
        private static func text(_ body: [UInt8]) -> String {
            let line = body.prefix(512).map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }
            return line.isEmpty ? "" : ": \(String(decoding: line, as: UTF8.self))"
        }
    }
}
