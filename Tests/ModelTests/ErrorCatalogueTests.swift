// The catalogue is complete: whatever is refused at any door has a status, a reply and a way out.

import JSON
import Model
import Testing

@Suite("Error catalogue")
struct ErrorCatalogueTests {
    @Test(
        "every code has an HTTP error, an SMTP refusal of one class, a title and a fix", arguments: ErrorCode.allCases)
    func complete(_ code: ErrorCode) {
        let entry = code.entry
        #expect((400...599).contains(entry.httpStatus))
        #expect((400...599).contains(entry.smtpCode))
        #expect(entry.smtpCode / 100 == entry.smtpEnhanced.0, "the reply's class and the enhanced code's differ")
        #expect(entry.smtpEnhanced.1 <= 999 && entry.smtpEnhanced.2 <= 999)
        #expect(!entry.title.isEmpty && !entry.title.hasSuffix("."))
        #expect(entry.fix.hasSuffix(".") || entry.fix.hasSuffix("…"))
        #expect(code.rawValue.allSatisfy { $0 == "_" || ("a"..."z").contains($0) })
    }

    @Test("what may pass with time is a temporary refusal at both doors", arguments: ErrorCode.allCases)
    func temporary(_ code: ErrorCode) {
        if code.entry.httpStatus >= 500 { #expect(code.entry.smtpCode < 500) }
        let retryAfter = PosternError(code, "x").retryAfter
        #expect((retryAfter != nil) == (code.entry.httpStatus == 503))
    }

    @Test("an error takes its fix from the catalogue unless it knows better")
    func fixes() {
        #expect(PosternError(.forbidden, "no").fix == ErrorCode.forbidden.entry.fix)
        #expect(PosternError(.forbidden, "no", fix: "Ask.").fix == "Ask.")
        #expect(PosternError(.overloaded, "no", retryAfter: 60).retryAfter == 60)
        #expect(PosternError(.forbidden, "no").description == "forbidden: no")
    }

    @Test("problems become one sentence, and the list of them stays short")
    func validation() {
        let one = PosternError.validation([JSONProblem(pointer: "/to", message: "is required")])
        #expect(one.detail == "/to is required")
        let many = PosternError.validation(
            (0..<80).map { JSONProblem(pointer: $0 == 0 ? "" : "/\($0)", message: "is wrong") })
        #expect(many.detail == "the document is wrong (and 79 more)")
        #expect(many.problems.count == 50)
        #expect(PosternError.validation([]).code == .validationFailed)
    }
}
