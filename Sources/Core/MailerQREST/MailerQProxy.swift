// Passes an open operation on to MailerQ with our credentials, and its answer back without anything that is not the
// caller's business.

import JSON
package import Logging
import Metrics
package import Model
import Synchronization
package import WebClient

package final class MailerQProxy: Sendable {
    /// What MailerQ answered, fit to be shown.
    package struct Answer: Sendable {
        /// 200–299 or 400–499.
        package let status: Int
        package let contentType: String
        package let body: [UInt8]
    }

    /// Who asks for what.
    package struct Request: Sendable {
        package let operation: MailerQOperation
        /// Of a GET, escaped, without the question mark.
        package var query = ""
        /// Of anything else, from `MailerQOperation.document`.
        package var body: [UInt8]?
        package let caller: Caller
        package let requestID: String

        package init(
            _ operation: MailerQOperation, query: String = "", body: [UInt8]? = nil, caller: Caller, requestID: String
        ) {
            self.operation = operation
            self.query = query
            self.body = body
            self.caller = caller
            self.requestID = requestID
        }
    }

    /// Operations at once. A MailerQ that hangs must not collect all of ours.
    private static let limit = 32

    package let operations: MailerQOperations
    private let client: WebClient
    private let endpoint: WebEndpoint
    private let timeout: Double
    private let clock: any WallClock
    private let logger: Logger
    private let meter = Mutex(OperationMeter())

    /// - Parameters:
    ///   - endpoint: MailerQ's address with its credentials.
    ///   - timeout: seconds for one operation.
    package init(
        operations: MailerQOperations,
        client: WebClient,
        endpoint: WebEndpoint,
        timeout: Double = 10,
        clock: any WallClock,
        logger: Logger
    ) {
        self.operations = operations
        self.client = client
        self.endpoint = endpoint
        self.timeout = timeout
        self.clock = clock
        self.logger = logger
    }

    package var summary: OperationMeter.Summary { meter.withLock { $0.summary(at: clock.now()) } }

    /// - Throws: `overloaded`, `mailerq_unauthorized`, `mailerq_unavailable`, `mailerq_timeout`.
    package func perform(_ request: Request) async throws(PosternError) -> Answer {
        let hasRoom = meter.withLock { meter in
            guard meter.summary(at: clock.now()).inFlight < Self.limit else { return false }
            meter.begin()
            return true
        }
        guard hasRoom else { throw PosternError(.overloaded, "\(Self.limit) operations wait for MailerQ already") }
        var word = "answered"
        defer { count(request, word) }
        do throws(PosternError) {
            let answer = try await exchange(request)
            word = String(answer.status)
            return answer
        } catch {
            word = error.code.rawValue
            throw error
        }
    }

    private func exchange(_ request: Request) async throws(PosternError) -> Answer {
        let target = request.operation.path + (request.query.isEmpty ? "" : "?" + request.query)
        guard let method = WebRequest.Method(rawValue: request.operation.method.rawValue) else {
            preconditionFailure("the client knows every method of the table")
        }
        let response: WebResponse
        do throws(WebError) {
            response = try await client.send(
                WebRequest(
                    method, target, body: request.body, contentType: request.body.map { _ in "application/json" },
                    requestID: request.requestID, timeout: timeout),
                to: endpoint)
        } catch {
            throw Self.problem(error, isUnsure: request.operation.changesSomething && error.mayHaveArrived)
        }
        switch response.status {
        case 401, 403, 407:
            // The caller's own rights were looked at before; these are ours.
            throw PosternError(.mailerqUnauthorized, "MailerQ refuses Postern's credentials (\(response.status))")
        case 500...: throw PosternError(.mailerqUnavailable, "MailerQ answered \(response.status)")
        default:
            return Answer(
                status: response.status, contentType: Self.harmless(response.contentType), body: response.body)
        }
    }

    private func count(_ request: Request, _ word: String) {
        let failed = ErrorCode(rawValue: word) != nil
        meter.withLock { $0.end(at: clock.now(), failed: failed) }
        let operation = request.operation
        Counter(
            label: "postern_mailerq_operations_total",
            dimensions: [("operation", operation.description), ("outcome", failed ? word : "answered")]
        ).increment()
        guard operation.changesSomething || failed else { return }
        logger.notice(
            "mailerq operation",
            metadata: [
                "operation": "\(operation)", "outcome": "\(word)", "caller": "\(request.caller.label)",
                "caller_id": "\(request.caller.identity.id)", "vault": "\(request.caller.vault)",
                "request_id": "\(request.requestID)",
            ])
    }

    private static func problem(_ error: WebError, isUnsure: Bool) -> PosternError {
        let unsure = isUnsure ? "; whether MailerQ did what was asked is not known" : ""
        switch error.code {
        case .timedOut: return PosternError(.mailerqTimeout, "MailerQ did not answer in time\(unsure)")
        case .tooLarge: return PosternError(.mailerqUnavailable, "MailerQ's answer is too large\(unsure)")
        case .invalidURL, .unreachable, .tls, .redirected, .broken, .cancelled:
            return PosternError(.mailerqUnavailable, "MailerQ: \(error.message)\(unsure)")
        }
    }

    /// A page from there must not run as one of ours: what is neither JSON nor text is bytes.
    private static func harmless(_ type: String?) -> String {
        let essence = (type ?? "").prefix { $0 != ";" }.lowercased()
        switch essence.split(separator: " ").first {
        case "application/json": return "application/json"
        case "text/plain": return "text/plain; charset=utf-8"
        default: return "application/octet-stream"
        }
    }
}
