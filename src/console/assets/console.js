/** What every page does besides what it does without JavaScript. */
import './copy.js'
import './navigation.js'
import './times.js'
