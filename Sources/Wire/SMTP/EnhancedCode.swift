// An enhanced mail system status code (RFC 3463): what went wrong, in three numbers a program can act on.

package struct EnhancedCode: Hashable, Sendable, CustomStringConvertible {
    /// 2 success, 4 persistent transient failure, 5 permanent failure.
    package let category: UInt16
    /// 0–999, RFC 3463 §3.
    package let subject: UInt16
    /// 0–999, RFC 3463 §3.
    package let detail: UInt16

    package init(_ category: UInt16, _ subject: UInt16, _ detail: UInt16) {
        self.category = category
        self.subject = subject
        self.detail = detail
    }

    package var description: String { "\(category).\(subject).\(detail)" }
}
