// What a caller hears when the database could not do its part.

package import Model
package import SQL

extension PosternError {
    package init(_ error: SQLError) {
        switch error.code {
        case .overloaded: self.init(.overloaded, "more submissions are waiting than can be committed")
        case .unavailable, .storage: self.init(.storageUnavailable, "the database cannot be written at the moment")
        case .constraint, .unexpectedValue, .failure: self.init(.internalError, "the database refused the work")
        }
    }

    /// Any error in the form that a door can answer with.
    package init(describing error: any Error) {
        switch error {
        case let error as PosternError: self = error
        case let error as SQLError: self.init(error)
        default: self.init(.internalError, "an unexpected error happened")
        }
    }
}
