// Every limit of the parsers in one place: a hostile message meets one of these, never the end of memory.

package struct MIMELimits: Hashable, Sendable {
    /// Largest header block of a message or part, in bytes. Default 256 KiB.
    package var headerBytes = 256 * 1024
    /// Most header fields in one header block. Default 1000.
    package var headerCount = 1000
    /// Longest single line inside a header block, in bytes without its line end. Default 64 KiB: far over the
    /// 998 of RFC 5322 §2.1.1, because mail in the wild has unfolded `References` and signatures. What is
    /// *sent* is held to 998 by ``LineDiscipline``.
    package var headerLineBytes = 64 * 1024
    /// Most entities (leaves and containers, the root included) in one message. Default 1000.
    package var partCount = 1000
    /// Deepest nesting of multiparts and enclosed messages. Default 50.
    package var nesting = 50
    /// Most addresses in one address list. Default 2000.
    package var addressesPerList = 2000
    /// Most parameters read from one `Content-Type` or `Content-Disposition`; later ones are ignored. Default 100.
    package var parameters = 100
    /// Longest multipart boundary that is honoured, in bytes. Default 256 (RFC 2046 §5.1.1 allows 70); a
    /// multipart with a longer one is kept as one opaque leaf.
    package var boundaryBytes = 256

    package init() {}

    package static let `default` = MIMELimits()
}
