// Refusals in SES's words: every code has one in both APIs, and what AWS's clients decide by is as SES has it.

import JSON
import Model
import Testing

@testable import Providers

@Suite("SES refusals")
struct SESErrorTests {
    @Test("every error has a documented form in both APIs", arguments: ErrorCode.allCases)
    func complete(_ code: ErrorCode) throws {
        let error = PosternError(code, "detail <of> the \"case\" & more")
        let query = SESErrors.answer(error, requestID: "req-1", isQuery: true)
        let text = String(decoding: query.body, as: UTF8.self)
        #expect(text.contains("<Message>") && text.contains("detail &lt;of&gt; the &quot;case&quot; &amp; more."))
        #expect(text.contains("<RequestId>req-1</RequestId>"))
        #expect(text.contains(query.status < 500 ? "<Type>Sender</Type>" : "<Type>Receiver</Type>"))
        #expect(query.header("content-type") == "text/xml")
        let json = SESErrors.answer(error, requestID: "req-1", isQuery: false)
        let document = try JSONParser.parse(json.body).objectValue
        #expect(document?["message"]?.stringValue?.contains("detail <of> the \"case\" & more.") == true)
        #expect(document?["message"]?.stringValue?.hasSuffix(error.fix) == true)
        #expect(json.header("x-amzn-errortype")?.isEmpty == false)
        #expect(json.header("x-amzn-requestid") == "req-1")
        for answer in [query, json] {
            #expect((400..<600).contains(answer.status))
            #expect((answer.status >= 500) == (code.entry.httpStatus >= 500), "who is to blame")
        }
    }

    @Test(
        "what clients act upon has SES's codes and statuses",
        arguments: [
            (.rateLimited, "Throttling", 400, "TooManyRequestsException", 429),
            (.senderDomainNotAllowed, "MessageRejected", 400, "MessageRejected", 400),
            (.malformedMessage, "MessageRejected", 400, "MessageRejected", 400),
            (.repeatedMessage, "MessageRejected", 400, "MessageRejected", 400),
            (.validationFailed, "InvalidParameterValue", 400, "BadRequestException", 400),
            (.unsupportedFeature, "InvalidParameterValue", 400, "BadRequestException", 400),
            (.forbidden, "AccessDenied", 403, "AccessDeniedException", 403),
            (.unauthorized, "InvalidClientTokenId", 403, "UnrecognizedClientException", 403),
            (.overloaded, "ServiceUnavailable", 503, "ServiceUnavailableException", 503),
            (.internalError, "InternalFailure", 500, "InternalServiceErrorException", 500),
        ] as [(ErrorCode, String, Int, String, Int)])
    func codes(_ code: ErrorCode, _ query: String, _ queryStatus: Int, _ json: String, _ jsonStatus: Int) {
        let errors = SESErrors(PosternError(code, "x"))
        #expect(errors.query == (query, queryStatus))
        #expect(errors.json == (json, jsonStatus))
    }

    @Test(
        "each fault of a signature has its own code",
        arguments: [
            (.missing, "MissingAuthenticationToken", 403), (.incomplete, "IncompleteSignature", 400),
            (.mismatch, "SignatureDoesNotMatch", 403), (.expired, "RequestExpired", 403),
        ] as [(SESAuthenticationProblem, String, Int)])
    func signatures(_ problem: SESAuthenticationProblem, _ code: String, _ status: Int) {
        #expect(SESErrors(problem.error).query == (code, status))
        #expect(problem.error.code == .unauthorized)
    }

    @Test("a refusal says when to come back, and only then")
    func retryAfter() {
        for isQuery in [true, false] {
            let limited = PosternError(.rateLimited, "x", retryAfter: 36)
            #expect(SESErrors.answer(limited, requestID: "r", isQuery: isQuery).header("retry-after") == "36")
            let invalid = PosternError(.validationFailed, "x")
            #expect(SESErrors.answer(invalid, requestID: "r", isQuery: isQuery).header("retry-after") == nil)
        }
    }

    @Test("all problems are named, not only the first one")
    func problems() {
        let error = PosternError.validation([
            JSONProblem(pointer: "Source", message: "is required"),
            JSONProblem(pointer: "", message: "has no recipient"),
        ])
        let text = String(
            decoding: SESErrors.answer(error, requestID: "r", isQuery: true).body, as: UTF8.self)
        #expect(text.contains("Source: is required; the document: has no recipient."))
    }

    @Test("no text breaks out of its element, and no character breaks the document")
    func escaping() {
        let hostile = "</Message>]]><!--\u{0}\u{B}\u{1B}\u{FFFE}\r\n\t\u{1F600}&amp;"
        let answer = SESXML.answer("GetSendQuota", requestID: hostile) { $0.element("a", hostile) }
        let text = String(decoding: answer.body, as: UTF8.self)
        let escaped = "&lt;/Message&gt;]]&gt;&lt;!--\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}&#13;&#10;&#9;\u{1F600}&amp;amp;"
        #expect(
            text == "<GetSendQuotaResponse xmlns=\"http://ses.amazonaws.com/doc/2010-12-01/\"><GetSendQuotaResult>"
                + "<a>\(escaped)</a></GetSendQuotaResult><ResponseMetadata><RequestId>\(escaped)</RequestId>"
                + "</ResponseMetadata></GetSendQuotaResponse>\n")
    }
}

extension ProviderAnswer {
    fileprivate func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name }?.value }
}
