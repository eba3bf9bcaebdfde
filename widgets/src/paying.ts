// Everything from the checkout on: fetched when there is something to pay for, so that nobody waits for it then.

import "./elements/checkout";
import "./elements/done";
import "./elements/payment";
