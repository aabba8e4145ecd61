"""What is declined of reports."""

from posthouse.matrix import LimitExceeded, NotFound


class TooManyReports(LimitExceeded):
    usual_message = "You have reported very much today. Please go on tomorrow."


class NoSuchPerson(NotFound):
    usual_message = "There is no such person on this server."
