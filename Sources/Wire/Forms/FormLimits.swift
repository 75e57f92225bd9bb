// What a stranger's form may make us do at most.

package struct FormLimits: Sendable {
    /// Fields of one form.
    package var fields = 10_000
    /// Bytes of a decoded field name.
    package var nameBytes = 1024
    /// Bytes of a decoded file name.
    package var filenameBytes = 1024
    /// Bytes of the whole body.
    package var bytes: Int
    /// Header lines of one part of a multipart form.
    package var partHeaders = 16
    /// Bytes of one part's header lines together.
    package var partHeaderBytes = 8192

    /// - Parameter bytes: of the whole body; the default is that of a message, as base64 and a little.
    package init(bytes: Int = 40_000_000) { self.bytes = bytes }
}
