// What comes with a link that somebody else is to open: sent by mail, or to be handed over by whoever asked for it.

import JSON

enum LinkAnswer {
    static func show(_ answer: JSONObject, _ output: OutputOptions) throws(CommandFailure) {
        try output.show(answer)
        if answer["sent"]?.boolValue == true {
            Terminal.current.note("The link was sent by mail.")
        } else if answer["url"]?.stringValue != nil {
            Terminal.current.note("This is the only time that the link is shown; hand it over by a way that you trust.")
        }
    }
}
