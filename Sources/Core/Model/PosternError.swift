// What Postern refuses, and why: one error for every door, each of which writes it in its own form.

package import JSON

/// A code from the catalogue, a sentence about this case, and what to do. Never holds SQL, secrets or bodies.
package struct PosternError: Error, Sendable, CustomStringConvertible {
    package let code: ErrorCode
    package let detail: String
    /// What to do about this case; the catalogue's advice where there is nothing more exact.
    package let fix: String
    /// Each thing wrong with a document, by JSON pointer.
    package let problems: [JSONProblem]
    /// Seconds after which another try makes sense.
    package let retryAfter: Int?
    /// The limit that was hit.
    package let rate: RateStatus?

    package init(
        _ code: ErrorCode,
        _ detail: String,
        fix: String? = nil,
        problems: [JSONProblem] = [],
        retryAfter: Int? = nil,
        rate: RateStatus? = nil
    ) {
        self.code = code
        self.detail = detail
        self.fix = fix ?? code.entry.fix
        self.problems = problems
        self.rate = rate
        self.retryAfter = retryAfter ?? (code.entry.httpStatus == 503 ? 5 : nil)
    }

    package var description: String { "\(code.rawValue): \(detail)" }

    /// All problems of a document as one error; the first one is the sentence.
    package static func validation(_ problems: [JSONProblem]) -> PosternError {
        let first = problems.first.map { "\($0.pointer.isEmpty ? "the document" : $0.pointer) \($0.message)" }
        let more = problems.count > 1 ? " (and \(problems.count - 1) more)" : ""
        return PosternError(
            .validationFailed, (first ?? "the document is not valid") + more, problems: Array(problems.prefix(50)))
    }
}
