// The files of a native message: too many are one problem, and those that a dialect checked are not checked again.

import JSON
import MIME
import Model
import Testing

@testable import Mapping

@Suite("Files of native messages")
struct NativeAttachmentTests {
    private func message(files: Int, contentType: String) throws -> NativeMessage {
        var message = NativeMessage()
        message.from = Sourced(Mailbox(try EmailAddress(parsing: "sales@example.com")), at: "/from")
        message.to = [Sourced(Mailbox(try EmailAddress(parsing: "ann@example.net")), at: "/to")]
        message.text = Sourced("Hi", at: "/text")
        message.attachments = (0..<files).map { index in
            let file = MessageBuilder.Attachment(
                filename: "f", contentType: contentType, bytes: [1], isInline: false, contentID: nil)
            return Sourced(file, at: "/files/\(index)")
        }
        return message
    }

    @Test("more files than a message may have are told as one problem, and none of them is looked at")
    func tooMany() throws {
        let message = try message(files: 101, contentType: "no type")
        let error = #expect(throws: PosternError.self) { try message.mapped(Sample.context()) }
        #expect(error?.problems.map(\.pointer) == ["/files/0"])
        #expect(error?.problems.first?.message == "must not hold more than 100 attachments")
    }

    @Test("each file that cannot be written is told")
    func unwritable() throws {
        let message = try message(files: 2, contentType: "no type")
        let error = #expect(throws: PosternError.self) { try message.mapped(Sample.context()) }
        #expect(error?.problems.map(\.pointer) == ["/files/0", "/files/1"])
    }

    @Test("files that were checked are not checked again, in copies neither, unless they are others")
    func once() throws {
        var message = try message(files: 2, contentType: "no type")
        let context = try Sample.context()
        var problems = NativeProblems()
        message.checkAttachments(context.limits, &problems)
        #expect(problems.invalid.map(\.pointer) == ["/files/0", "/files/1"])
        var copy = message
        copy.text = Sourced("another", at: "/text")
        // What the check would have found is found by nobody but the writer of the message.
        let unchecked = #expect(throws: PosternError.self) { try copy.mapped(context) }
        #expect(unchecked?.problems.map(\.pointer) != ["/files/0", "/files/1"])
        copy.attachments.append(copy.attachments[0])
        let error = #expect(throws: PosternError.self) { try copy.mapped(context) }
        #expect(error?.problems.count == 3)
    }
}
