// What Postern refuses, in Postmark's words: `{"ErrorCode", "Message"}` with its numbers.

import Dialects
import JSON
import Model

enum PostmarkErrors {
    static func answer(_ error: PosternError) -> ProviderAnswer { .json(status(error)) { write(error, to: &$0) } }

    static let tooManyMessages = ProviderAnswer.json(422) { writer in
        write(410, "a batch holds at most \(PostmarkDialect.batchLimit) messages", to: &writer)
    }

    static func write(_ error: PosternError, to writer: inout JSONWriter) {
        write(number(error.code), error.sentence, to: &writer)
    }

    private static func write(_ number: Int, _ message: String, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("ErrorCode", number)
            writer.member("Message", message)
        }
    }

    /// Postmark says 422 of whatever is wrong with a message, its sender included.
    private static func status(_ error: PosternError) -> Int {
        switch error.code.entry.httpStatus {
        case 400, 403, 409, 422: 422
        case let status: status
        }
    }

    /// https://postmarkapp.com/developer/api/overview#error-codes; 0 would mean that nothing is wrong.
    private static func number(_ code: ErrorCode) -> Int {
        switch code {
        case .unauthorized: 10
        case .senderDomainNotAllowed: 400
        case .malformedJSON: 402
        case .forbidden, .approvalRequired: 405
        case .unsupportedMediaType: 409
        case .rateLimited, .repeatedMessage: 429
        default: code.entry.httpStatus >= 500 ? 100 : 300
        }
    }
}
