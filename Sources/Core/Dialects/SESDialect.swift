// Amazon SES: the query form of its API v1 (SendEmail, SendRawEmail) and the JSON of its API v2 (SendEmail).

package import Mapping
package import Model

package enum SESDialect: NativeDialect {
    package static let name = "ses"

    package static func read(
        _ payload: NativePayload,
        _ context: MappingContext
    ) throws(PosternError) -> [NativeMessage] {
        switch payload {
        case .form(let form):
            var reader = SESQueryReader(form)
            let message = reader.message(context)
            try reader.problems.check()
            return [message]
        case .json(let document):
            var reader = SESDocumentReader(document)
            let message = reader.message(context)
            try reader.problems.check()
            return [message]
        }
    }
}
