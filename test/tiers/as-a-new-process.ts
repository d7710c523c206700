/** Files of tests share a process: each begins without the sagas that the one before has left, most in simulated deaths. */
import { forgetSagas } from '../../src/engine/running/last-resort.ts';

forgetSagas();
