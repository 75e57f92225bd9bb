// What a result may make us keep at most: its texts are a stranger's.

package struct MailerQLimits: Sendable {
    /// Bytes of a result document; with `keepmime` it holds the message. Default 64 MiB.
    package var documentBytes = 64 << 20
    /// Attempts that are kept, the last ones. Default 64.
    package var attempts = 64
    /// Bytes of a reply's text. Default 2,048.
    package var descriptionBytes = 2_048
    /// Bytes of an address, a host's name, a cipher's name. Default 320: the longest address that some systems know.
    package var wordBytes = 320

    package init() {}
}
