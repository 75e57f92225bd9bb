// A small payload can ask for many large messages, because they share their texts and files: how much that may come to.

import Mapping
import Model

extension [NativeMessage] {
    /// Bytes of all messages of one payload, finished.
    static func byteLimit(_ context: MappingContext) -> Int { context.limits.messageBytes * 4 }

    /// - Throws: `message_too_large`.
    func checkBytes(_ context: MappingContext) throws(PosternError) {
        guard count > 1 else { return }
        let bytes = reduce(0) { sum, message in
            let files = message.attachments.reduce(0) { $0 + $1.value.bytes.count / 3 * 4 }
            return sum + files + (message.text?.value.utf8.count ?? 0) + (message.html?.value.utf8.count ?? 0)
        }
        guard bytes <= Self.byteLimit(context) else { throw Self.tooLarge(context) }
    }

    static func tooLarge(_ context: MappingContext) -> PosternError {
        PosternError(
            .messageTooLarge, "the messages of this payload would have more than \(byteLimit(context)) bytes together",
            fix: "Split the recipients over several calls.")
    }
}
